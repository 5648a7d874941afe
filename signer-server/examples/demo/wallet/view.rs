//! What the page is told, as JSON, and the pictures beside it.

use std::time::Instant;

use serde::Serialize;
use signer_client::{Screen as Codes, ShowSession, Stock, draw};
use signer_core::{credential::DocumentType, time::UnixSeconds, wire::Check};

use super::signing::Wanted;
use crate::Result;

/// Everything on the phone's screen now.
#[derive(Clone, Default)]
pub(super) struct Screen {
    pub(super) state: State,
    pub(super) clock: Option<(UnixSeconds, Instant)>,
    pub(super) qr: String,
    pub(super) bar: String,
}

impl Screen {
    /// The phone's time; its driver writes it down only now and then.
    pub(super) fn now(&self) -> u64 {
        self.clock.map_or(0, |(at, since)| at.0.saturating_add(since.elapsed().as_secs()))
    }
}

/// The JSON of `GET state`, but for the time.
#[derive(Clone, Default, PartialEq, Serialize)]
pub(super) struct State {
    pub(super) online: bool,
    pub(super) person: Person,
    pub(super) shop: String,
    pub(super) documents: Vec<Held>,
    pub(super) show: Option<Shown>,
    pub(super) checks: Vec<Asked>,
    pub(super) requests: Vec<Wanted>,
    pub(super) notice: Option<Notice>,
}

#[derive(Clone, Default, PartialEq, Serialize)]
pub(super) struct Person {
    pub(super) family: String,
    pub(super) given: String,
}

/// A document, as on the face of its card.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Held {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) number: String,
    pub(super) expires: String,
    pub(super) stock: Fresh,
}

/// Fresh credentials at hand.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Fresh {
    age: usize,
    minimal: usize,
    full: usize,
}

impl From<Stock> for Fresh {
    fn from(stock: Stock) -> Self {
        Self { age: stock.age, minimal: stock.minimal, full: stock.full }
    }
}

/// The code on the screen.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Shown {
    document_type: &'static str,
    profile: &'static str,
    whoever: bool,
    request_of: Option<String>,
    qr: String,
    qr_side: usize,
    bar: Option<String>,
    bar_svg: Option<String>,
    bar_width: Option<usize>,
    number: Option<String>,
    until: u64,
    step_seconds: u64,
    turn: u8,
    online: bool,
    linkable: bool,
    used_at: Option<u64>,
}

/// A shop's question.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Asked {
    id: String,
    verifier: String,
    profile: &'static str,
    document_type: &'static str,
    #[serde(rename = "match")]
    match_number: String,
    expires: u64,
}

/// Something the holder is told in passing.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Notice {
    pub(super) code: &'static str,
    pub(super) who: Option<String>,
}

pub(super) fn asked(check: &Check) -> Asked {
    Asked {
        id: check.id.to_string(),
        verifier: check.verifier.as_str().to_owned(),
        profile: check.profile.name(),
        document_type: kind_numbered(check.document_type),
        match_number: check.match_number.to_string(),
        expires: check.expires.0,
    }
}

/// What is known of a show besides its codes.
pub(super) struct About<'a> {
    pub(super) session: &'a ShowSession,
    pub(super) kind: DocumentType,
    pub(super) whoever: bool,
    pub(super) request_of: Option<&'a str>,
    pub(super) step_seconds: u64,
    pub(super) used_at: Option<UnixSeconds>,
    /// Grows with every other code, so that a browser asks for the picture again.
    pub(super) version: u64,
}

/// A show with its pictures: QR and, while the server has the codes on display, bars.
pub(super) fn shown(about: &About<'_>, codes: &Codes) -> Result<(Shown, String, String)> {
    let matrix = draw::matrix(codes.code.presentation.as_str())?;
    let short = codes.short.as_ref().ok();
    let bar = short.map(|short| short.bar.to_string());
    let bars = bar.as_deref().map(draw::bars).transpose()?;
    let version = about.version;
    let shown = Shown {
        document_type: kind_name(about.kind),
        profile: about.session.profile().name(),
        whoever: about.whoever,
        request_of: about.request_of.map(str::to_owned),
        qr: format!("qr.svg?v={version}"),
        qr_side: matrix.size() + 2 * draw::QUIET_ZONE,
        bar_svg: bar.is_some().then(|| format!("bar.svg?v={version}")),
        bar_width: bars.as_ref().map(|bars| bars.modules().len() + 2 * draw::BAR_QUIET_ZONE),
        bar,
        number: short.map(|short| short.digits.to_string().replace(' ', "")),
        until: codes.code.until.0,
        step_seconds: about.step_seconds,
        turn: codes.code.turn.number(),
        online: short.is_some(),
        linkable: about.session.is_linkable(),
        used_at: about.used_at.map(|at| at.0),
    };
    let qr = draw::svg(&matrix, "Document code", "");
    let bar = bars.map_or_else(String::new, |bars| draw::bar_svg(&bars, "Bar code", ""));
    Ok((shown, qr, bar))
}

/// A kind of document by the page's word for it.
pub(super) const fn kind_name(kind: DocumentType) -> &'static str {
    match kind {
        DocumentType::IdentityCard => "identity_card",
        DocumentType::DrivingLicence => "driving_licence",
        DocumentType::VehicleRegistration => "vehicle_registration",
    }
}

pub(super) fn kind_of(name: &str) -> Option<DocumentType> {
    DocumentType::PERSONAL.iter().copied().find(|kind| kind_name(*kind) == name)
}

/// Of a number on the wire.
pub(super) fn kind_numbered(number: u32) -> &'static str {
    u8::try_from(number).ok().and_then(DocumentType::from_number).map_or("other", kind_name)
}
