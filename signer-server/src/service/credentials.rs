//! Issue of day credentials. Claims come from the register, go into the credential and are forgotten: nothing of the document
//! is stored.

use rand::Rng as _;
use signer_core::{
    codec::{Blob, List},
    credential::{Date, DayClaims, Document, DocumentRecord, DocumentType, LIFE_SECONDS, StatusIndex},
    device_key::DevicePublicKeyBytes,
    secret::SecretBytes,
    time::UnixSeconds,
    wire::{
        CodeState, CodeStateQuery, DayKeyRequest, IssueCredentials, IssuedCredentials, ProblemCode, Profile,
        WireSecret, day_key_proof,
    },
    wrap::Location,
};

use super::{
    Caller, Refusal, Service, ServiceError, ServiceResult, good_standing, unwrap_secret, wrap_secret,
};
use crate::store::CredentialRow;

/// Entries of one status list. Every day has its own list, so an index says nothing beyond the day.
const LIST_ENTRIES: u32 = 1 << 20;
/// How often another set of indexes is drawn when one is taken.
const DRAWS_MAX: u32 = 8;

impl Service {
    /// Issues a batch: one credential per fresh day key, each with a random index, all with the hour as their time.
    ///
    /// # Errors
    /// A refusal if a proof is wrong, or the register has no such document or does not answer.
    pub async fn issue(&self, bytes: &[u8]) -> ServiceResult<IssuedCredentials> {
        let (asked, caller) = self.open::<IssueCredentials>(bytes).await?;
        good_standing(&caller.installation)?;
        check_day_keys(&caller, &asked)?;
        let record = self.record(&caller, asked.document_type).await?;
        let secret = SecretBytes::random(&mut *self.rng());
        let today = Date::of(caller.now).ok_or(ServiceError::Bug("date out of range"))?;
        for _ in 0..DRAWS_MAX {
            let indexes = self.draw_indexes(caller.now, asked.keys.as_slice().len());
            let rows = self.rows(&caller, &asked, &indexes, &secret)?;
            if !self.store.add_credentials(rows, caller.now).await? {
                continue;
            }
            let pairs = asked.keys.as_slice().iter().zip(&indexes);
            let credentials = pairs
                .map(|(key, status)| self.sign_credential(&record, today, key, *status, caller.now))
                .collect::<ServiceResult<Vec<_>>>()?;
            let credentials = List::new(credentials).ok_or(ServiceError::Bug("empty batch"))?;
            tracing::info!(device = %caller.installation.device, count = indexes.len(), "credentials issued");
            return Ok(IssuedCredentials { time: caller.now, otp_secret: WireSecret(secret), credentials });
        }
        Err(Refusal::new(ProblemCode::Overloaded).into())
    }

    /// Whether the code on display was used.
    ///
    /// # Errors
    /// `not_found` for others' credentials too.
    pub async fn code_state(&self, bytes: &[u8]) -> ServiceResult<CodeState> {
        let (query, caller) = self.open::<CodeStateQuery>(bytes).await?;
        let row = self.store.credential(query.list, query.index).await?;
        if row.is_none_or(|row| row.device != caller.installation.device) {
            return Err(Refusal::new(ProblemCode::NotFound).into());
        }
        let burned = self.store.highest_burn(query.list, query.index, query.step).await?;
        Ok(CodeState { time: caller.now, burned })
    }

    async fn record(&self, caller: &Caller, document_type: u32) -> ServiceResult<DocumentRecord> {
        let register = self.register.as_ref().ok_or_else(|| {
            Refusal::because(ProblemCode::RegisterNotReached, "this server has no register configured")
        })?;
        let record =
            register.document(&caller.installation.holder, document_type).await.map_err(|error| {
                tracing::warn!(%error, "register");
                Refusal::new(ProblemCode::RegisterNotReached)
            })?;
        record.ok_or_else(|| Refusal::new(ProblemCode::NoDocument).into())
    }

    fn draw_indexes(&self, now: UnixSeconds, count: usize) -> Vec<StatusIndex> {
        let list = u32::try_from(now.0 / 86_400).unwrap_or(u32::MAX);
        let mut rng = self.rng();
        (0..count).map(|_| StatusIndex { list, index: rng.next_u32() % LIST_ENTRIES }).collect()
    }

    fn rows(
        &self,
        caller: &Caller,
        asked: &IssueCredentials,
        indexes: &[StatusIndex],
        secret: &SecretBytes<32>,
    ) -> ServiceResult<Vec<CredentialRow>> {
        let row = |status: &StatusIndex| {
            Ok(CredentialRow {
                list: status.list,
                index: status.index,
                device: caller.installation.device,
                document_type: asked.document_type,
                wrapped_otp: wrap_secret(
                    &self.kek,
                    &otp_location(&otp_row(*status)),
                    secret.expose(),
                    &mut *self.rng(),
                )?,
                expires: caller.now.hour().plus(LIFE_SECONDS),
            })
        };
        indexes.iter().map(row).collect()
    }

    fn sign_credential<const MAX: usize>(
        &self,
        record: &DocumentRecord,
        today: Date,
        key: &DayKeyRequest,
        status: StatusIndex,
        now: UnixSeconds,
    ) -> ServiceResult<Blob<MAX>> {
        let document = document(record, key.profile, today)?;
        let day_key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&key.day_key.0)
            .map_err(|_| Refusal::because(ProblemCode::InvalidValue, "a day key is not a point of P-256"))?;
        let claims = DayClaims::new(now, day_key, status, document, false);
        let credential = claims.sign(&self.keys.issuer).map_err(|error| {
            tracing::warn!(%error, "credential not made");
            Refusal::because(ProblemCode::NoDocument, "the document's claims do not fit a code")
        })?;
        Blob::new(credential.as_bytes().to_vec()).ok_or(ServiceError::Bug("credential is too long"))
    }

    pub(super) fn otp_secret(&self, row: &CredentialRow) -> ServiceResult<SecretBytes<32>> {
        let status = StatusIndex { list: row.list, index: row.index };
        let bytes = unwrap_secret(&self.kek, &otp_location(&otp_row(status)), &row.wrapped_otp)?;
        SecretBytes::from_slice(&bytes).ok_or(ServiceError::Bug("stored otp secret"))
    }
}

fn check_day_keys(caller: &Caller, asked: &IssueCredentials) -> ServiceResult<()> {
    let device = caller.installation.device;
    let mut seen = std::collections::HashSet::new();
    for key in asked.keys.as_slice() {
        let proof = day_key_proof(device, key.profile, &key.day_key);
        let proven = key.day_key.parse().is_some_and(|day_key| day_key.verify(proof, &key.proof));
        if !proven
            || !seen.insert(key.day_key.0)
            || key.day_key == DevicePublicKeyBytes(caller.installation.device_key)
        {
            let text = "each day key must be fresh and sign its own proof";
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
    }
    if u8::try_from(asked.document_type).ok().and_then(DocumentType::from_number).is_none() {
        return Err(Refusal::because(ProblemCode::InvalidValue, "unknown document type").into());
    }
    Ok(())
}

fn document(record: &DocumentRecord, profile: Profile, today: Date) -> ServiceResult<Document> {
    let unfit = |text| Refusal::because(ProblemCode::NoDocument, text);
    Ok(match profile {
        Profile::Full => record.full(),
        Profile::Minimal => record.minimal(today).map_err(|_| unfit("the initials do not fit a code"))?,
        Profile::Age => record
            .age(today, &[DocumentRecord::AGE])
            .ok_or_else(|| unfit("the holder has not reached the age this profile states"))?,
    })
}

fn otp_row(status: StatusIndex) -> [u8; 8] {
    (u64::from(status.list) << 32 | u64::from(status.index)).to_be_bytes()
}

const fn otp_location(row: &[u8; 8]) -> Location<'_> {
    Location { table: "credential", row, column: "wrapped_otp", epoch: 0 }
}
