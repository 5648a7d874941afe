//! Issue of day credentials. Claims come from the register, go into the credential and are forgotten: nothing of the document
//! is stored.

use rand::Rng as _;
use signer_core::{
    codec::{Blob, List},
    credential::{
        Date, DayClaims, Document, DocumentRecord, DocumentType, LIFE_SECONDS, PortraitSalt, StatusIndex,
        portrait_salt,
    },
    device_key::DevicePublicKeyBytes,
    domain::sha256,
    history::Act,
    secret::SecretBytes,
    status::ENTRIES,
    time::UnixSeconds,
    wire::{
        CREDENTIAL_BYTES_MAX, CodeState, CodeStateQuery, DayKeyRequest, IssueCredentials, IssuedCredentials,
        ProblemCode, Profile, WireSecret, WithdrawnCredentials, WithdrawnQuery, day_key_proof,
    },
    wrap::Location,
};

use super::{
    Caller, KeyPurpose, Refusal, Service, ServiceError, ServiceResult, good_standing,
    status_lists::LISTS_PER_DAY,
};
use crate::{
    store::{AddedCredentials, CredentialRow, Holder},
    traces::{self, Part},
};

/// How often taken indexes are drawn anew.
pub(super) const DRAWS_MAX: u32 = 8;

impl Service {
    /// Issues a batch: one credential per fresh day key, each with a random index, all with the hour as their time.
    ///
    /// # Errors
    /// A refusal if a proof is wrong, or the register has no such document or does not answer.
    pub async fn issue(&self, bytes: &[u8]) -> ServiceResult<IssuedCredentials> {
        let (asked, caller) = self.open::<IssueCredentials>(bytes).await?;
        good_standing(&caller.installation)?;
        check_day_keys(&caller, &asked)?;
        let events = self.store.document_events(caller.installation.device).await?;
        let record = self.record(&caller.installation.holder, asked.document_type).await?;
        let record = record.ok_or_else(|| Refusal::new(ProblemCode::NoDocument))?;
        let secret = SecretBytes::random(&mut *self.rng());
        let keys = asked.keys.as_slice();
        let count = u32::try_from(keys.len()).map_err(|_| ServiceError::Bug("a batch that long"))?;
        let told = Act::CredentialsIssued { document_type: asked.document_type, count };
        let told = self.note(&caller.installation, told)?;
        let mut places: Vec<StatusIndex> = keys.iter().map(|_| self.draw_place(caller.now)).collect();
        for _ in 0..DRAWS_MAX {
            let credentials = self.sign_batch(&record, keys, &places, &secret, caller.now).await?;
            let rows = self.rows(&caller, &asked, &places, &secret, credentials.as_slice()).await?;
            match self.store.add_credentials(rows, told.clone(), caller.now).await? {
                AddedCredentials::Added => {
                    if self.store.document_events(caller.installation.device).await? != events {
                        // An event about this holder came in between: the claims may be those from before it, and it could
                        // not end what was not there yet. Nobody gets these credentials.
                        return Err(Refusal::new(ProblemCode::Stale).into());
                    }
                    self.metrics.credentials.inc_by(count.into());
                    tracing::info!(device = %caller.installation.device, count = places.len(), "credentials issued");
                    let otp_secret = WireSecret(secret);
                    return Ok(IssuedCredentials { time: caller.now, otp_secret, credentials });
                }
                AddedCredentials::Taken(positions) => {
                    for position in positions {
                        places[position] = self.draw_place(caller.now);
                    }
                }
                AddedCredentials::DayKeyUsed => {
                    let text = "a day key has its credential already: make fresh ones";
                    return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
                }
                AddedCredentials::TooMany => return Err(Refusal::new(ProblemCode::TooMany).into()),
            }
        }
        Err(Refusal::new(ProblemCode::Overloaded).into())
    }

    /// Whether the code on display was used.
    ///
    /// # Errors
    /// `not_found` for others' credentials too.
    pub async fn code_state(&self, bytes: &[u8]) -> ServiceResult<CodeState> {
        let (query, caller) = self.open::<CodeStateQuery>(bytes).await?;
        if query.step > self.rule.step_at(caller.now).0.saturating_add(1) {
            return Err(Refusal::because(ProblemCode::InvalidValue, "step is not a step of now").into());
        }
        let row = self.store.credential(query.list, query.index).await?;
        if row.is_none_or(|row| row.device != caller.installation.device) {
            return Err(Refusal::new(ProblemCode::NotFound).into());
        }
        let burned = self.store.highest_burn(query.list, query.index, query.step).await?;
        Ok(CodeState { time: caller.now, burned })
    }

    /// Which of the device's credentials are withdrawn.
    ///
    /// # Errors
    /// A refusal if the message is not the device's.
    pub async fn withdrawn_credentials(&self, bytes: &[u8]) -> ServiceResult<WithdrawnCredentials> {
        let (WithdrawnQuery {}, caller) = self.open(bytes).await?;
        let places = self.store.withdrawn(caller.installation.device).await?;
        Ok(WithdrawnCredentials { time: caller.now, places })
    }

    /// The holder's document, from the register.
    pub(super) async fn record(
        &self,
        holder: &Holder,
        document_type: u32,
    ) -> ServiceResult<Option<DocumentRecord>> {
        let register = self.register.as_ref().ok_or_else(|| {
            Refusal::because(ProblemCode::RegisterNotReached, "this server has no register configured")
        })?;
        let asked = register.document(holder, document_type);
        let record = traces::span(Part::Register, "document", asked).await;
        record.map_err(|error| {
            tracing::warn!(%error, "register");
            Refusal::new(ProblemCode::RegisterNotReached).into()
        })
    }

    pub(super) fn draw_place(&self, now: UnixSeconds) -> StatusIndex {
        let day = u32::try_from(now.0 / 86_400).unwrap_or(u32::MAX / LISTS_PER_DAY);
        let mut rng = self.rng();
        let list = day.saturating_mul(LISTS_PER_DAY).saturating_add(rng.next_u32() % LISTS_PER_DAY);
        StatusIndex { list, index: rng.next_u32() % ENTRIES }
    }

    async fn sign_batch<const MAX: usize, const BYTES: usize>(
        &self,
        record: &DocumentRecord,
        keys: &[DayKeyRequest],
        places: &[StatusIndex],
        secret: &SecretBytes<32>,
        now: UnixSeconds,
    ) -> ServiceResult<List<Blob<BYTES>, MAX>> {
        let pairs = keys.iter().zip(places);
        let mut signed = Vec::with_capacity(keys.len());
        for (key, place) in pairs {
            let document = document(record, key.profile, &portrait_salt(secret, *place), now)?;
            signed.push(self.sign_credential(document, key, *place, now).await?);
        }
        List::new(signed).ok_or(ServiceError::Bug("empty batch"))
    }

    async fn rows(
        &self,
        caller: &Caller,
        asked: &IssueCredentials,
        places: &[StatusIndex],
        secret: &SecretBytes<32>,
        credentials: &[Blob<CREDENTIAL_BYTES_MAX>],
    ) -> ServiceResult<Vec<CredentialRow>> {
        let mut rows = Vec::with_capacity(places.len());
        for ((status, key), credential) in places.iter().zip(asked.keys.as_slice()).zip(credentials) {
            let location = place_row(*status);
            rows.push(CredentialRow {
                list: status.list,
                index: status.index,
                device: caller.installation.device,
                document_type: asked.document_type,
                wrapped_otp: self.wrap_secret(&otp_location(&location), secret.expose()).await?,
                day_key: key.day_key.0,
                hash: Some(sha256(credential.as_slice())),
                expires: caller.now.hour().plus(LIFE_SECONDS),
            });
        }
        Ok(rows)
    }

    async fn sign_credential<const MAX: usize>(
        &self,
        document: Document,
        key: &DayKeyRequest,
        status: StatusIndex,
        now: UnixSeconds,
    ) -> ServiceResult<Blob<MAX>> {
        let day_key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&key.day_key.0)
            .map_err(|_| Refusal::because(ProblemCode::InvalidValue, "a day key is not a point of P-256"))?;
        let claims = DayClaims::new(now, day_key, status, document, false);
        let credential = self.keys.in_use(KeyPurpose::Issuer)?.sign_day(claims).await?.map_err(|error| {
            tracing::warn!(%error, "credential not made");
            Refusal::because(ProblemCode::NoDocument, "the document's claims do not fit a code")
        })?;
        Blob::new(credential.as_bytes().to_vec()).ok_or(ServiceError::Bug("credential is too long"))
    }

    pub(super) async fn otp_secret(&self, row: &CredentialRow) -> ServiceResult<SecretBytes<32>> {
        let status = StatusIndex { list: row.list, index: row.index };
        let location = place_row(status);
        let bytes = self.unwrap_secret(&otp_location(&location), &row.wrapped_otp).await?;
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
    let kind = u8::try_from(asked.document_type).ok().and_then(DocumentType::from_number);
    if !kind.is_some_and(DocumentType::is_personal) {
        let text = "not a kind of document that phones get credentials of";
        return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
    }
    Ok(())
}

/// What a profile says of a record. A document that has ended, or ends within a credential's life where the credential does
/// not say when, gets none.
fn document(
    record: &DocumentRecord,
    profile: Profile,
    salt: &PortraitSalt,
    now: UnixSeconds,
) -> ServiceResult<Document> {
    let unfit = |text| Refusal::because(ProblemCode::NoDocument, text);
    let date = |time| Date::of(time).ok_or(ServiceError::Bug("date out of range"));
    let today = date(now)?;
    let last_needed = if profile == Profile::Full { today } else { date(now.plus(LIFE_SECONDS))? };
    if record.expires < last_needed {
        return Err(unfit("the document has ended, or ends before the credential would").into());
    }
    Ok(match profile {
        Profile::Full => record.full(salt),
        Profile::Minimal => record.minimal(today).map_err(|_| unfit("the initials do not fit a code"))?,
        Profile::Age => record
            .age(today, &[DocumentRecord::AGE], salt)
            .ok_or_else(|| unfit("the holder has not reached the age this profile states"))?,
    })
}

pub(super) fn place_row(status: StatusIndex) -> [u8; 8] {
    (u64::from(status.list) << 32 | u64::from(status.index)).to_be_bytes()
}

const fn otp_location(row: &[u8; 8]) -> Location<'_> {
    Location { table: "credential", row, column: "wrapped_otp", epoch: 0 }
}
