//! Certificates of holders' keys: issued with the enrolment, renewed when little of their life is left, imported from an
//! authority elsewhere; and the revocation list. No approval waits for any of this.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use signer_core::{
    ceremony::ProvenKey,
    certificate::{CERTIFICATE_BYTES_MAX, CHAIN_MAX, Request, check_chain, verify_request},
    codec::{self, Blob, List},
    credential::{DocumentRecord, DocumentType},
    domain::sha256,
    ids::DeviceId,
    time::UnixSeconds,
    wire::{
        CertificateQuery, CertificateReply, CertificateRequestView, Der, ImportCertificate, ProblemCode,
        SigningCertificate, Standing,
    },
    wrap::Location,
};

use super::{Refusal, Service, ServiceError, ServiceResult, good_standing, sign::blocking};
use crate::{
    ca::Subject,
    store::{CertificateRow, Holder, Installation, RelyingPartyRow},
};

/// A chain of certificates, the signer's own first.
pub(super) type Chain = List<Der, CHAIN_MAX>;
/// Longest encoding of a chain, bytes.
const CHAIN_BYTES_MAX: usize = CHAIN_MAX * (CERTIFICATE_BYTES_MAX + 8);

pub(super) fn ders(chain: &Chain) -> Vec<&[u8]> {
    chain.as_slice().iter().map(Blob::as_slice).collect()
}

const fn chain_location(sha256: &[u8; 32]) -> Location<'_> {
    Location { table: "certificate", row: sha256, column: "wrapped_chain", epoch: 0 }
}

/// The list in use.
#[derive(Debug)]
pub(super) struct Crl {
    der: Bytes,
    changes: u64,
    made: UnixSeconds,
}

impl Service {
    /// The first certificate of a key that has just made its first signature; none for a suite without certificates.
    ///
    /// # Errors
    /// `register_not_reached`, if there is a register and it does not answer.
    pub(super) async fn first_certificate(
        &self,
        holder: Holder,
        proven: &ProvenKey,
        now: UnixSeconds,
    ) -> ServiceResult<Option<CertificateRow>> {
        let Some(request) = &proven.request else { return Ok(None) };
        self.issue_certificate(holder, proven.context.device, &own_request(request)?, now).await.map(Some)
    }

    async fn issue_certificate(
        &self,
        holder: Holder,
        device: DeviceId,
        request: &Request,
        now: UnixSeconds,
    ) -> ServiceResult<CertificateRow> {
        let document = self.document_with_name(&holder).await?;
        let subject = Subject::new(self.ca.country, holder, document.as_ref());
        let issue = self.authority.issue(request, &subject, now, &mut *self.rng())?;
        let signature = self.keys.authority.sign(issue.to_sign()).await?;
        let issued = issue.complete(&signature)?;
        let chain = vec![issued.der, self.authority.certificate().to_vec()];
        // As the phone will: a certificate that does not hold must not become durable.
        check_chain(&chain, &request.public_key, now)
            .map_err(|_| ServiceError::Bug("an own certificate does not hold"))?;
        let (sha256, wrapped_chain) = self.wrap_chain(chain).await?;
        tracing::info!(%device, "certificate issued");
        Ok(CertificateRow {
            device,
            sha256,
            wrapped_chain,
            serial: issued.serial,
            imported: false,
            not_before: issued.not_before,
            not_after: issued.not_after,
        })
    }

    /// The chain as it is stored: it names a person, and a dump of the store should not.
    async fn wrap_chain(&self, chain: Vec<Vec<u8>>) -> ServiceResult<([u8; 32], Vec<u8>)> {
        let sha256 = chain.first().map(|der| sha256(der));
        let chain: Option<Chain> =
            chain.into_iter().map(Blob::new).collect::<Option<Vec<Der>>>().and_then(List::new);
        let (sha256, chain) = sha256.zip(chain).ok_or(ServiceError::Bug("a chain that cannot be stored"))?;
        let wrapped = self.wrap_secret(&chain_location(&sha256), &codec::encode(&chain)).await?;
        Ok((sha256, wrapped))
    }

    pub(super) async fn unwrap_chain(&self, certificate: &CertificateRow) -> ServiceResult<Chain> {
        let location = chain_location(&certificate.sha256);
        let bytes = self.unwrap_secret(&location, &certificate.wrapped_chain).await?;
        codec::decode(&bytes, CHAIN_BYTES_MAX).map_err(|_| ServiceError::Bug("stored certificate"))
    }

    /// A document that names the holder, if there is a register and it has one.
    async fn document_with_name(&self, holder: &Holder) -> ServiceResult<Option<DocumentRecord>> {
        if self.register.is_none() {
            return Ok(None);
        }
        for kind in DocumentType::PERSONAL {
            if let Some(found) = self.record(holder, u32::from(kind.number())).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The certificate in use of the calling device's key, renewed if less than a third of its life is left. The earlier one
    /// stays valid until its own end.
    ///
    /// # Errors
    /// `not_found` for a suite without certificates; a refusal if the installation cannot sign.
    pub async fn certificate(&self, bytes: &[u8]) -> ServiceResult<CertificateReply> {
        let (CertificateQuery {}, caller) = self.open(bytes).await?;
        let (installation, now) = (caller.installation, caller.now);
        good_standing(&installation)?;
        let request = self.store.certificate_request(installation.device).await?;
        let current = self.store.certificate(installation.device).await?;
        let (Some(request), Some(mut certificate)) = (request, current) else {
            return Err(
                Refusal::because(ProblemCode::NotFound, "keys of this suite have no certificate").into()
            );
        };
        if is_due(&certificate, now) {
            certificate = self.renew_or_keep(installation, &request, certificate, now).await?;
        }
        let chain = self.unwrap_chain(&certificate).await?;
        let request = Blob::new(request).ok_or(ServiceError::Bug("stored certificate"))?;
        Ok(CertificateReply { time: now, request, chain })
    }

    /// Renews; while that cannot be done, a certificate that is still valid goes on being used.
    async fn renew_or_keep(
        &self,
        installation: Installation,
        request: &[u8],
        current: CertificateRow,
        now: UnixSeconds,
    ) -> ServiceResult<CertificateRow> {
        match self.renew(installation, request, now).await {
            Err(error) if waits(&error) && now <= current.not_after => {
                tracing::warn!(%error, device = %current.device, "certificate not renewed");
                Ok(current)
            }
            renewed => renewed,
        }
    }

    async fn renew(
        &self,
        installation: Installation,
        request: &[u8],
        now: UnixSeconds,
    ) -> ServiceResult<CertificateRow> {
        let Installation { holder, device, .. } = installation;
        let new = self.issue_certificate(holder, device, &own_request(request)?, now).await?;
        if self.store.add_certificate(new.clone(), now).await? {
            Ok(new)
        } else {
            // Suspended or ended meanwhile.
            Err(Refusal::new(ProblemCode::Stale).into())
        }
    }

    /// What a relying party may know of a person's certificate before the person has approved anything.
    ///
    /// # Errors
    /// `not_found`, also if the person's key cannot sign now or has no certificate that holds now.
    pub async fn signing_certificate(
        &self,
        asker: &RelyingPartyRow,
        person: Holder,
    ) -> ServiceResult<SigningCertificate> {
        let not_found = || ServiceError::from(Refusal::new(ProblemCode::NotFound));
        let holder = self.meant(asker.id, person).await?;
        let device = self.store.living(holder).await?.ok_or_else(not_found)?;
        let installation = self.store.installation(device).await?.ok_or_else(not_found)?;
        let certificate = self.store.certificate(device).await?.ok_or_else(not_found)?;
        if installation.standing != Standing::Good {
            return Err(not_found());
        }
        // Checked when it was added: since then only time can have ended it, or an authority of its chain.
        let chain = self.unwrap_chain(&certificate).await?;
        let checked = check_chain(&ders(&chain), &installation.key.public_key, self.now());
        let checked = checked.map_err(|_| not_found())?;
        Ok(SigningCertificate {
            suite: installation.key.suite.name().into(),
            certificate_sha256: STANDARD.encode(certificate.sha256),
            issuer: STANDARD.encode(checked.issuer),
            serial: STANDARD.encode(certificate.serial),
            not_after: certificate.not_after.0,
        })
    }

    /// The chain for a result: of the certificate that was in use when the request was made, so that it is the one a relying
    /// party asked about before.
    pub(super) async fn chain_for_result(
        &self,
        device: DeviceId,
        requested: UnixSeconds,
    ) -> ServiceResult<Option<Vec<String>>> {
        let certificate = self.store.certificate_at(device, requested).await?;
        let Some(certificate) = certificate else { return Ok(None) };
        let chain = self.unwrap_chain(&certificate).await?;
        Ok(Some(ders(&chain).into_iter().map(|der| STANDARD.encode(der)).collect()))
    }

    /// The request an authority elsewhere can issue a certificate for.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn certificate_request(&self, device: DeviceId) -> ServiceResult<CertificateRequestView> {
        let request = self.store.certificate_request(device).await?;
        let request = request.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        Ok(CertificateRequestView { request: STANDARD.encode(request) })
    }

    /// Takes a certificate of an authority elsewhere into use.
    ///
    /// # Errors
    /// `not_found`; `invalid_value`, saying what is wrong with the chain.
    pub async fn import_certificate(&self, device: DeviceId, asked: ImportCertificate) -> ServiceResult<()> {
        let now = self.now();
        let installation = self.store.installation(device).await?;
        let installation = installation.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        good_standing(&installation)?;
        let invalid = |text: String| Refusal::because(ProblemCode::InvalidValue, text);
        let chain = asked.chain.iter().take(CHAIN_MAX + 1).map(|der| STANDARD.decode(der));
        let chain =
            chain.collect::<Result<Vec<_>, _>>().map_err(|_| invalid("chain[] is standard base64".into()))?;
        if !installation.key.suite.has_certificates() {
            return Err(invalid("keys of this suite have no certificates".into()).into());
        }
        let checked = check_chain(&chain, &installation.key.public_key, now)
            .map_err(|error| invalid(format!("chain: {error}")))?;
        if let Some(binding) = checked.binding {
            let request = self.store.certificate_request(device).await?;
            let request = own_request(&request.ok_or(ServiceError::Bug("a key without its request"))?)?;
            if binding != request.binding {
                return Err(invalid("chain: the certificate was issued for another request".into()).into());
            }
        }
        let (sha256, wrapped_chain) = self.wrap_chain(chain).await?;
        let row = CertificateRow {
            device,
            sha256,
            wrapped_chain,
            serial: checked.serial,
            imported: true,
            not_before: checked.not_before,
            not_after: checked.not_after,
        };
        if !self.store.add_certificate(row, now).await? {
            return Err(invalid("this certificate is here already".into()).into());
        }
        tracing::info!(%device, "certificate imported");
        Ok(())
    }

    /// The authority's certificate, DER.
    #[must_use]
    pub fn authority_certificate(&self) -> &[u8] {
        self.authority.certificate()
    }

    /// The revocation list, DER. It is made anew after every change, and when half of its time is over.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn crl(&self) -> ServiceResult<Bytes> {
        let mut list = self.crl.lock().await;
        let now = self.now();
        let changes = self.store.revocation_changes().await?;
        let half = self.ca.terms.crl_seconds / 2;
        if let Some(list) = list.as_ref().filter(|list| list.changes == changes && now < list.made.plus(half))
        {
            return Ok(list.der.clone());
        }
        match self.make_crl(now).await {
            Ok(made) => Ok(list.insert(made).der.clone()),
            // Valid, though it does not have the newest changes: better than none.
            Err(ServiceError::Token(error)) => {
                let valid = |list: &&Crl| now < list.made.plus(self.ca.terms.crl_seconds);
                list.as_ref().filter(valid).map(|list| list.der.clone()).ok_or(ServiceError::Token(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn make_crl(&self, now: UnixSeconds) -> ServiceResult<Crl> {
        self.keys.authority.can_sign()?;
        let basis = self.store.next_crl(now).await?;
        let authority = Arc::clone(&self.authority);
        let unsigned = blocking(move || authority.crl(basis.number, &basis.entries, now)).await??;
        let signature = self.keys.authority.sign(unsigned.bytes()).await?;
        let der = Bytes::from(blocking(move || unsigned.complete(&signature)).await??);
        Ok(Crl { der, changes: basis.changes, made: now })
    }
}

/// A stored request, read.
fn own_request(der: &[u8]) -> ServiceResult<Request> {
    verify_request(der).map_err(|_| ServiceError::Bug("an own certification request does not hold"))
}

/// Whether a renewal that failed can be done later: the register or the authority is at fault, not the installation.
const fn waits(error: &ServiceError) -> bool {
    match error {
        ServiceError::Refused(refusal) => matches!(refusal.code, ProblemCode::RegisterNotReached),
        ServiceError::Ca(_) | ServiceError::Token(_) => true,
        ServiceError::Store(_)
        | ServiceError::Wrap(_)
        | ServiceError::Kek(_)
        | ServiceError::NoToken
        | ServiceError::Bug(_) => false,
    }
}

/// Whether less than a third of the life is left. What another authority issued, it must renew itself.
fn is_due(certificate: &CertificateRow, now: UnixSeconds) -> bool {
    let life = certificate.not_after.0.saturating_sub(certificate.not_before.0);
    let left = certificate.not_after.0.saturating_sub(now.0);
    !certificate.imported && left < life / 3
}
