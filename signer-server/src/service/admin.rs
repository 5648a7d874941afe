//! The operator's acts, and who a bearer token belongs to.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use signer_core::{
    approval::NAME_BYTES_MAX,
    codec::Label,
    credential::DocumentType,
    domain::{Domain, Hasher},
    history::Act,
    ids::{DeviceId, RelyingPartyId},
    wire::{
        CreateEnrolmentCode, CreateRelyingParty, CreatedEnrolmentCode, CreatedRelyingParty, Event,
        ProblemCode, RelyingPartyLimits, RelyingPartyView, TOKEN_BYTES,
    },
};
use subtle::ConstantTimeEq as _;

use super::{
    CALLS_PER_SECOND_MAX, KEPT_BYTES_MAX, KEPT_BYTES_MIN, Refusal, Service, ServiceResult, enrol::code_hash,
    history::code, pairwise::PREFIX,
};
use crate::store::{EnrolmentCodeRow, Holder, Organisation, OwnLimits, RelyingPartyRow, RevocationReason};

/// Life of an enrolment code that does not say, and the longest, seconds.
const CODE_SECONDS: (u64, u64) = (86_400, 30 * 86_400);
/// Letters and digits that are not mistaken for one another (Crockford's base 32).
const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 20 characters of 5 bits: 100 bits, out of reach of guessing.
const CODE_LENGTH: usize = 20;

/// Stored form of a bearer token.
#[must_use]
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    Hasher::new(Domain::TokenHash).field(b"bearer").field(token.as_bytes()).finish()
}

/// A fresh bearer token: 32 random bytes, URL-safe base64.
pub(crate) fn new_token(rng: &mut dyn rand::CryptoRng) -> String {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *bytes);
    URL_SAFE_NO_PAD.encode(*bytes)
}

/// A relying party's bearer token: its id, so that a verifier knows whom its answers must name, and 32 random bytes.
fn relying_party_token(id: RelyingPartyId, rng: &mut dyn rand::CryptoRng) -> String {
    let mut bytes = zeroize::Zeroizing::new([0; TOKEN_BYTES]);
    let (name, secret) = bytes.split_at_mut(id.as_bytes().len());
    name.copy_from_slice(id.as_bytes());
    rng.fill_bytes(secret);
    URL_SAFE_NO_PAD.encode(*bytes)
}

impl Service {
    /// Whether this is the admin token.
    #[must_use]
    pub fn is_admin(&self, token: &str) -> bool {
        token_hash(token).ct_eq(&self.admin_token).into()
    }

    /// The relying party a bearer token belongs to.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub async fn relying_party(&self, token: &str) -> ServiceResult<RelyingPartyRow> {
        let row = self.store.relying_party_by_token(token_hash(token)).await?;
        row.ok_or_else(|| Refusal::new(ProblemCode::Unauthenticated).into())
    }

    /// Makes an enrolment code for a person.
    ///
    /// # Errors
    /// A refusal that names the value that is wrong.
    pub async fn create_enrolment_code(
        &self,
        asked: CreateEnrolmentCode,
    ) -> ServiceResult<CreatedEnrolmentCode> {
        let now = self.now();
        // Names that relying parties are told begin so: none of them must lead to anybody else.
        let holder = Holder::new(&asked.person).filter(|holder| !holder.as_str().starts_with(PREFIX));
        let holder = holder.ok_or_else(|| {
            let text = "person is 1 to 64 visible ASCII characters and does not begin with pid_";
            Refusal::because(ProblemCode::InvalidValue, text)
        })?;
        let seconds = asked.expires_in.unwrap_or(CODE_SECONDS.0);
        if !(60..=CODE_SECONDS.1).contains(&seconds) {
            let text = format!("expires_in is from 60 to {} seconds", CODE_SECONDS.1);
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let code = new_code(&mut *self.rng());
        let expires = now.plus(seconds);
        let row = EnrolmentCodeRow { hash: code_hash(&code), holder, expires };
        self.store.add_enrolment_code(row, now).await?;
        Ok(CreatedEnrolmentCode { code, expires: expires.0 })
    }

    /// Registers a relying party.
    ///
    /// # Errors
    /// A refusal that names the value that is wrong.
    pub async fn create_relying_party(
        &self,
        asked: CreateRelyingParty,
    ) -> ServiceResult<CreatedRelyingParty> {
        if Label::<NAME_BYTES_MAX>::new(asked.name.clone()).is_none() {
            let text = "name is 1 to 200 bytes of NFC text on one line, without hidden characters";
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let generates_for = asked.generates_for.map(|name| {
            let text = "generates_for is an organisation: 1 to 24 ASCII letters, digits, - and _";
            Organisation::new(&name).ok_or_else(|| Refusal::because(ProblemCode::InvalidValue, text))
        });
        let generates_for = generates_for.transpose()?;
        let id = RelyingPartyId::random(&mut *self.rng());
        let token = relying_party_token(id, &mut *self.rng());
        let row = RelyingPartyRow {
            id,
            name: asked.name,
            token_hash: token_hash(&token),
            may_ask: asked.may_ask,
            may_verify: asked.may_verify,
            report_kinds: numbers(&asked.report),
            may_report_deceased: asked.report_deceased,
            generates_for,
            limits: OwnLimits::default(),
            revoked: false,
        };
        self.store.add_relying_party(row, self.now()).await?;
        Ok(CreatedRelyingParty { id, token })
    }

    /// All relying parties.
    ///
    /// # Errors
    /// [`super::ServiceError::Store`].
    pub async fn relying_parties(&self) -> ServiceResult<Vec<RelyingPartyView>> {
        let rows = self.store.relying_parties().await?;
        let kept: HashMap<_, _> = self.store.kept_bytes().await?.into_iter().collect();
        let view = |row: RelyingPartyRow| RelyingPartyView {
            id: row.id,
            name: row.name,
            may_ask: row.may_ask,
            may_verify: row.may_verify,
            report: kinds(&row.report_kinds),
            report_deceased: row.may_report_deceased,
            generates_for: row.generates_for.map(Into::into),
            limits: RelyingPartyLimits {
                calls_per_second: row.limits.calls_per_second,
                kept_bytes: row.limits.kept_bytes,
            },
            kept_bytes: kept.get(&row.id).copied().unwrap_or_default(),
            revoked: row.revoked,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Gives a relying party limits of its own, in place of those it had. They hold from its next call on.
    ///
    /// # Errors
    /// `not_found`; `invalid_value` for a number out of bounds.
    pub async fn put_limits(&self, id: RelyingPartyId, asked: RelyingPartyLimits) -> ServiceResult<()> {
        let RelyingPartyLimits { calls_per_second, kept_bytes } = asked;
        if calls_per_second.is_some_and(|calls| !(1..=CALLS_PER_SECOND_MAX).contains(&calls))
            || kept_bytes.is_some_and(|bytes| !(KEPT_BYTES_MIN..=KEPT_BYTES_MAX).contains(&bytes))
        {
            let text = format!(
                "calls_per_second is from 1 to {CALLS_PER_SECOND_MAX}, kept_bytes from {KEPT_BYTES_MIN} to {KEPT_BYTES_MAX}"
            );
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let limits = OwnLimits { calls_per_second, kept_bytes };
        found(self.store.put_limits(id, limits, self.now()).await?)?;
        tracing::info!(relying_party = %id, ?calls_per_second, ?kept_bytes, "limits set by the operator");
        Ok(())
    }

    /// Ends a relying party's token.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn revoke_relying_party(&self, id: RelyingPartyId) -> ServiceResult<()> {
        found(self.store.revoke_relying_party(id, self.now()).await?)
    }

    /// Suspends an installation and its certificates, or takes that back. One that is frozen stays so.
    ///
    /// # Errors
    /// `not_found`, also for one that is revoked.
    pub async fn suspend_device(&self, device: DeviceId, suspended: bool) -> ServiceResult<()> {
        tracing::info!(%device, suspended, "suspension set by the operator");
        let act = if suspended { Act::Suspended {} } else { Act::Resumed {} };
        let told = self.note_for(device, act).await?;
        found(self.store.suspend(device, suspended, told, self.now()).await?)?;
        self.end_checks(device).await;
        self.tell(device, Event::History);
        Ok(())
    }

    /// Revokes an installation and its certificates, and ends its key. A frozen one is not made good again: nobody can tell the phone from its copy.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn revoke_device(&self, device: DeviceId, reason: RevocationReason) -> ServiceResult<()> {
        tracing::info!(%device, "revoked by the operator");
        let reason_name = code(reason.name().unwrap_or("unspecified"))?;
        let told = self.note_for(device, Act::Revoked { reason: reason_name }).await?;
        found(self.store.revoke(device, reason, told, self.now()).await?)?;
        self.end_checks(device).await;
        self.tell(device, Event::History);
        Ok(())
    }
}

/// Kinds of document as they are stored: each once.
fn numbers(kinds: &[DocumentType]) -> Vec<u8> {
    let all = DocumentType::ALL.iter().filter(|kind| kinds.contains(kind));
    all.map(|kind| kind.number()).collect()
}

fn kinds(numbers: &[u8]) -> Vec<DocumentType> {
    numbers.iter().filter_map(|number| DocumentType::from_number(*number)).collect()
}

fn found(found: bool) -> ServiceResult<()> {
    if found { Ok(()) } else { Err(Refusal::new(ProblemCode::NotFound).into()) }
}

fn new_code(rng: &mut dyn rand::CryptoRng) -> String {
    let mut bytes = zeroize::Zeroizing::new([0_u8; CODE_LENGTH]);
    rng.fill_bytes(&mut *bytes);
    let letters = bytes.iter().map(|byte| char::from(CODE_ALPHABET[usize::from(byte % 32)]));
    let grouped = letters.enumerate().flat_map(|(i, letter)| {
        let dash = (i > 0 && i % 5 == 0).then_some('-');
        dash.into_iter().chain([letter])
    });
    grouped.collect()
}
