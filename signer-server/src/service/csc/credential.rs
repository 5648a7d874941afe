//! Credentials: the keys of persons with their certificates.

use signer_core::{
    ids::{DeviceId, RelyingPartyId},
    time::UnixSeconds,
    wire::Standing,
};
use x509_cert::{Certificate, der::Decode as _};

use super::{Bearer, authorise::usable, names::Names, wrong};
use crate::{
    service::{OauthError, OauthRefusal, Service, ServiceError, ServiceResult, certificate::ders},
    store::{CertificateRow, Holder, Installation},
};

/// A key with its certificate.
#[derive(Debug, Clone)]
pub struct CscCredential {
    /// Its name for this relying party.
    pub id: String,
    /// What it can do now.
    pub state: CredentialState,
    /// DER certificates, the holder's own first.
    pub chain: Vec<Vec<u8>>,
    /// What stands in the holder's own.
    pub certificate: CredentialCertificate,
    pub(in crate::service) device: DeviceId,
    pub(in crate::service) holder: Holder,
}

/// What a credential can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// It signs.
    Valid,
    /// Its certificate has ended, or has not begun.
    Expired,
    /// It is suspended or frozen.
    Suspended,
    /// It has ended.
    Revoked,
}

impl CredentialState {
    /// As a certificate's status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// Fields of a certificate as text.
#[derive(Clone)]
pub struct CredentialCertificate {
    /// Issuer (RFC 4514).
    pub issuer: String,
    /// Subject (RFC 4514). Personal data.
    pub subject: String,
    /// Serial number, hex digits.
    pub serial: String,
    /// First second, `YYYYMMDDHHMMSSZ`.
    pub from: String,
    /// Last second, likewise.
    pub to: String,
}

impl std::fmt::Debug for CredentialCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialCertificate(..)")
    }
}

impl Service {
    /// The credentials of a person: none or one. Whether there is no such person, or no key with a certificate, is not told
    /// apart. A token that a person let the client have lists that person's, and takes no other's name.
    ///
    /// # Errors
    /// For a name where there must be none, or none where there must be one.
    pub async fn credentials(
        &self,
        bearer: &Bearer,
        person: Option<&str>,
    ) -> Result<Vec<CscCredential>, OauthError> {
        bearer.of_service()?;
        let device = match (bearer.device, person) {
            (Some(device), None) => Some(device),
            (Some(_), Some(_)) => {
                return Err(OauthRefusal::request("userID parameter MUST be null").into());
            }
            (None, Some(person)) => match Holder::new(person) {
                Some(holder) => self.store.living(holder).await?,
                None => None,
            },
            (None, None) => {
                let text = "Missing (or invalid type) string parameter userID";
                return Err(OauthRefusal::request(text).into());
            }
        };
        let Some(device) = device else { return Ok(Vec::new()) };
        let found = self.credential_of(bearer.party.id, device).await?;
        Ok(found.filter(|credential| credential.state != CredentialState::Revoked).into_iter().collect())
    }

    /// The credential with this name, if it is one of this relying party's names and the token is good for it.
    ///
    /// # Errors
    /// `Invalid parameter credentialID`.
    pub async fn credential(&self, bearer: &Bearer, id: &str) -> Result<CscCredential, OauthError> {
        let device = self.device_named(bearer.party.id, id).ok_or_else(|| wrong("credentialID"))?;
        if bearer.device.is_some_and(|own| own != device) {
            return Err(wrong("credentialID"));
        }
        self.credential_of(bearer.party.id, device).await?.ok_or_else(|| wrong("credentialID"))
    }

    /// The credential with this name, if it can sign now.
    ///
    /// # Errors
    /// `Invalid parameter credentialID`; what keeps it from signing.
    pub(in crate::service) async fn usable_credential(
        &self,
        party: RelyingPartyId,
        id: &str,
    ) -> Result<CscCredential, OauthError> {
        let device = self.device_named(party, id).ok_or_else(|| wrong("credentialID"))?;
        let credential = self.credential_of(party, device).await?.ok_or_else(|| wrong("credentialID"))?;
        usable(&credential)?;
        Ok(credential)
    }

    /// The installation whose key has this name for a relying party; whether it exists is not looked at.
    pub(in crate::service) fn device_named(&self, party: RelyingPartyId, id: &str) -> Option<DeviceId> {
        Names::of(&self.keys.names, party).device(id)
    }

    async fn credential_of(
        &self,
        party: RelyingPartyId,
        device: DeviceId,
    ) -> ServiceResult<Option<CscCredential>> {
        let Some(installation) = self.store.installation(device).await? else { return Ok(None) };
        let Some(row) = self.store.certificate(device).await? else { return Ok(None) };
        let chain = self.unwrap_chain(&row).await?;
        let chain: Vec<Vec<u8>> = ders(&chain).into_iter().map(<[u8]>::to_vec).collect();
        let own = chain.first().ok_or(ServiceError::Bug("an empty chain"))?;
        let certificate = fields(own).map_err(|_| ServiceError::Bug("stored certificate"))?;
        let state = state(&installation, &row, self.now());
        let id = Names::of(&self.keys.names, party).name(device);
        Ok(Some(CscCredential { id, state, chain, certificate, device, holder: installation.holder }))
    }
}

fn state(installation: &Installation, certificate: &CertificateRow, now: UnixSeconds) -> CredentialState {
    match installation.standing {
        Standing::Revoked => CredentialState::Revoked,
        Standing::Suspended | Standing::Frozen => CredentialState::Suspended,
        Standing::Good if now < certificate.not_before || certificate.not_after < now => {
            CredentialState::Expired
        }
        Standing::Good => CredentialState::Valid,
    }
}

fn fields(der: &[u8]) -> Result<CredentialCertificate, x509_cert::der::Error> {
    let certificate = Certificate::from_der(der)?;
    let tbs = certificate.tbs_certificate();
    let moment = |time: &x509_cert::time::Time| {
        let at = time.to_date_time();
        format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}Z",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minutes(),
            at.seconds()
        )
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(CredentialCertificate {
        issuer: tbs.issuer().to_string(),
        subject: tbs.subject().to_string(),
        serial: hex(tbs.serial_number().as_bytes()),
        from: moment(&tbs.validity().not_before),
        to: moment(&tbs.validity().not_after),
    })
}
