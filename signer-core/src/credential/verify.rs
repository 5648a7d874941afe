//! Checking a code. Signatures first, then time, then what the verifier asked for.

use core::fmt;

use p256::ecdsa::VerifyingKey;

use super::{
    PREFIX, TEXT_MAX, TOKEN_BYTES_MAX,
    cose::{self, ISSUER_AAD, Sign1},
    date::Date,
    day::{DayClaims, StatusIndex},
    document::Document,
    hex::{Challenge, Kid},
    keys::IssuerKeys,
    number::Digits,
    refusal::{ClockFault, Refusal},
    show::{Show, Token, Turn},
    step::{Step, StepRule},
};
use crate::{
    codec,
    domain::sha256,
    time::UnixSeconds,
    trust::{IssuerId, Life},
};

/// What the verifier knows and wants.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions {
    /// The verifier's clock.
    pub now: UnixSeconds,
    /// [`StepRule::STANDARD`] outside demonstrations.
    pub rule: StepRule,
    /// The request the code must answer; `None` wants a code that answers none.
    pub expected_challenge: Option<Challenge>,
    /// The newest time seen under a trusted signature: the clock cannot be before it by more than the grace.
    pub clock_floor: UnixSeconds,
    /// How long a credential is accepted: the trust list says.
    pub life: Life,
}

impl VerifyOptions {
    /// At `now`: the standard rule and life, no request, no lower bound.
    #[must_use]
    pub const fn at(now: UnixSeconds) -> Self {
        Self {
            now,
            rule: StepRule::STANDARD,
            expected_challenge: None,
            clock_floor: UnixSeconds(0),
            life: Life::Standard,
        }
    }
}

/// What may be accepted once only. A new signature over the same show does not make it another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Once {
    /// The issuer, whose lists are counted apart from others'.
    pub issuer: IssuerId,
    /// The credential, by its place in the status lists.
    pub status: StatusIndex,
    /// The step.
    pub step: Step,
    /// Which code of the step.
    pub turn: Turn,
}

/// A code whose signatures, time and request were checked. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    claims: DayClaims,
    show: Show,
    issuer: IssuerId,
    kid: Kid,
}

impl Verified {
    /// What it says of the document.
    #[must_use]
    pub const fn document(&self) -> &Document {
        self.claims.document()
    }

    /// Place in the status lists.
    #[must_use]
    pub const fn status(&self) -> StatusIndex {
        self.claims.status()
    }

    /// The step it was made for.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.show.step
    }

    /// Which code of the step.
    #[must_use]
    pub const fn turn(&self) -> Turn {
        self.show.turn
    }

    /// The digits on the holder's screen; they prove nothing offline.
    #[must_use]
    pub const fn digits(&self) -> Digits {
        self.show.digits
    }

    /// The request it answers, which is the one the verifier expected.
    #[must_use]
    pub const fn challenge(&self) -> Option<Challenge> {
        self.show.challenge
    }

    /// The issuer.
    #[must_use]
    pub const fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// The issuer's key.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.kid
    }

    /// When the credential was issued, to the hour. Signed by the issuer, so it may raise the verifier's clock floor.
    #[must_use]
    pub const fn issued(&self) -> UnixSeconds {
        self.claims.issued()
    }

    /// When the credential ends by its own word; under [`Life::Emergency`] it is accepted longer.
    #[must_use]
    pub const fn expires(&self) -> UnixSeconds {
        self.claims.expires()
    }

    /// The phone's key for this credential.
    #[must_use]
    pub const fn day_key(&self) -> &VerifyingKey {
        self.claims.day_key()
    }

    /// Whether a server made the code, and no phone was there.
    #[must_use]
    pub const fn custody(&self) -> bool {
        self.claims.custody()
    }

    /// What may be accepted once only.
    #[must_use]
    pub const fn once(&self) -> Once {
        Once { issuer: self.issuer, status: self.status(), step: self.step(), turn: self.turn() }
    }
}

/// Checks the text of a QR.
///
/// # Errors
/// The first [`Refusal`] in this order: form, issuer, signatures, verifier's clock, life, custody, step, request, document.
pub fn verify(text: &str, issuers: &IssuerKeys, options: &VerifyOptions) -> Result<Verified, Refusal> {
    Received::read(text)?.verify_known(None, issuers, options)
}

/// A code that was read and not checked: what it says may be anybody's.
pub struct Received {
    token: Token,
    /// Of the issuer's element: [`super::DayCredential::hash`].
    hash: [u8; 32],
    claims: DayClaims,
    show: Show,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({:?})", self.status())
    }
}

impl Received {
    /// Reads the text of a QR.
    ///
    /// # Errors
    /// [`Refusal::NotOurs`], [`Refusal::Unreadable`]
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let code = text.strip_prefix(PREFIX).ok_or(Refusal::NotOurs)?;
        if text.len() > TEXT_MAX {
            return Err(Refusal::Unreadable);
        }
        let token = Token::from_base45(code).map_err(|_| Refusal::Unreadable)?;
        let claims =
            codec::decode(&token.issuer.payload, TOKEN_BYTES_MAX).map_err(|_| Refusal::Unreadable)?;
        let show = codec::decode(&token.device.payload, TOKEN_BYTES_MAX).map_err(|_| Refusal::Unreadable)?;
        let hash = sha256(&codec::encode(&token.issuer));
        Ok(Self { token, hash, claims, show })
    }

    /// The place in the status lists that it names.
    #[must_use]
    pub const fn status(&self) -> StatusIndex {
        self.claims.status()
    }

    /// Checks everything but the issuer's signature, if the code's credential is the one with this
    /// [hash](super::DayCredential::hash), which the caller issued or has verified before. That its issuer's key may
    /// sign it is still required. With another hash, everything is checked.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify_known(
        &self,
        known: Option<&[u8; 32]>,
        issuers: &IssuerKeys,
        options: &VerifyOptions,
    ) -> Result<Verified, Refusal> {
        let Self { token, hash, claims, show } = self;
        let (issuer, kid) = check_issuer(&token.issuer, claims, issuers, known == Some(hash))?;
        let signed = cose::sig_structure(&cose::show_aad(hash), &token.device.payload);
        if !cose::verifies(claims.day_key(), &signed, &token.device.signature) {
            return Err(Refusal::BadSignature);
        }
        check_time(claims, options)?;
        if claims.custody() && claims.document().document_type().is_personal() {
            return Err(Refusal::HeldByServer);
        }
        options.rule.check(show.step, options.now).map_err(Refusal::Clock)?;
        if show.challenge != options.expected_challenge {
            return Err(Refusal::NotForThisRequest);
        }
        // The day in UTC is never ahead of the day in Ukraine, so the last day counts in full.
        if claims
            .document()
            .expires()
            .is_some_and(|last| Date::of(options.now).is_none_or(|today| today > last))
        {
            return Err(Refusal::DocumentExpired);
        }
        Ok(Verified { claims: claims.clone(), show: *show, issuer, kid })
    }
}

/// All keys under the hint are tried; one that fits must also be allowed to sign this.
fn check_issuer(
    envelope: &Sign1,
    claims: &DayClaims,
    issuers: &IssuerKeys,
    known: bool,
) -> Result<(IssuerId, Kid), Refusal> {
    let kid = envelope.kid.ok_or(Refusal::Unreadable)?;
    let signed = cose::sig_structure(ISSUER_AAD, &envelope.payload);
    // Should two keys share a hint, only the signature says which it is.
    let known = known && issuers.matching(kid).count() == 1;
    let mut refusal = Refusal::UnknownIssuer;
    for issuer in issuers.matching(kid) {
        if !known && !cose::verifies(&issuer.key, &signed, &envelope.signature) {
            refusal = Refusal::BadSignature;
        } else if issuer.may_sign(claims.document().document_type(), claims.issued()) {
            return Ok((issuer.issuer, kid));
        } else {
            return Err(Refusal::UnknownIssuer);
        }
    }
    Err(refusal)
}

fn check_time(claims: &DayClaims, options: &VerifyOptions) -> Result<(), Refusal> {
    let behind = |floor: UnixSeconds| {
        Err(Refusal::Clock(ClockFault::VerifierBehind { seconds: options.now.distance(floor) }))
    };
    // Lists are signed at the very quarter of an hour: a clock within the grace of theirs is no fault.
    let floor = options.clock_floor.max(claims.issued());
    if options.now.plus(options.rule.grace()) < floor {
        return behind(floor);
    }
    if options.now >= claims.issued().plus(options.life.seconds()) { Err(Refusal::Expired) } else { Ok(()) }
}
