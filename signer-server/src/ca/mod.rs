//! The built-in certification authority: its own certificate, certificates of holders, the revocation list. Pure: key, time
//! and randomness are arguments, nothing is stored here. Profiles: `spec/certificates.md`.

mod crl;
mod names;
mod profile;
mod to_sign;

use p256::{ecdsa::VerifyingKey, pkcs8::EncodePublicKey as _};
use rand::CryptoRng;
use signer_core::{
    certificate::{CertificateError, Request},
    time::UnixSeconds,
};
use x509_cert::{
    Certificate, SubjectPublicKeyInfo,
    builder::{self, CertificateBuilder},
    der::{Decode as _, asn1::GeneralizedTime},
    serial_number::SerialNumber,
    time::{Time, Validity},
};

pub use self::names::*;
use self::profile::Profile;
pub use self::to_sign::ToSign;

const DAY: u64 = 86_400;
/// Life of the authority's own certificate, seconds: ten years.
const AUTHORITY_SECONDS: u64 = 3_653 * DAY;
/// Length of a serial number, bytes: 128 random bits, the first of them zero so that it is positive.
const SERIAL_BYTES: usize = 16;

/// Why the authority could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A value that cannot stand in a certificate.
    #[error("certificate: {0}")]
    Form(#[from] x509_cert::der::Error),
    /// The builder refused.
    #[error("certificate: {0}")]
    Build(#[from] builder::Error),
    /// A key that is none, or not of the curve.
    #[error("certificate: {0}")]
    Key(#[from] CertificateError),
    /// The stored certificate is not this key's.
    #[error("the authority's certificate and key do not belong together")]
    OtherKey,
    /// The authority's own certificate has ended.
    #[error("the authority's own certificate has ended")]
    Ended,
    /// The signature is not the authority's.
    #[error("the authority's key does not sign")]
    Signature,
}

/// What an authority writes into certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Where the authority's certificate and list are fetched from, without a slash at the end.
    pub public_url: String,
    /// Life of a certificate, seconds.
    pub certificate_seconds: u64,
    /// Time from one revocation list to the next one promised, seconds.
    pub crl_seconds: u64,
}

/// What an operator decides about the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name, taken when its certificate is made.
    pub name: AuthorityName,
    /// The country of holders.
    pub country: Country,
    /// What it writes into certificates.
    pub terms: Terms,
}

/// A certification authority: its certificate. Its key is elsewhere: what is to be signed is handed out.
pub struct Authority {
    key: VerifyingKey,
    certificate: Certificate,
    der: Vec<u8>,
    terms: Terms,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.certificate.tbs_certificate().subject())
    }
}

/// How long before it is made a certificate or a list begins to be valid, seconds: clocks of those who verify may be late.
pub const CLOCKS_SECONDS: u64 = 300;

/// A certificate of a holder that waits for the authority's signature.
pub struct Issue {
    certificate: ToSign<CertificateBuilder<Profile>>,
    serial: Vec<u8>,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl Issue {
    /// The bytes to sign.
    #[must_use]
    pub fn to_sign(&self) -> &[u8] {
        self.certificate.bytes()
    }

    /// Finishes with the authority's signature, r ‖ s.
    ///
    /// # Errors
    /// [`CaError::Signature`] if it is not the authority's.
    pub fn complete(self, signature: &[u8; 64]) -> Result<Issued, CaError> {
        let Self { certificate, serial, not_before, not_after } = self;
        Ok(Issued { der: certificate.complete(signature)?, serial, not_before, not_after })
    }
}

impl std::fmt::Debug for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issue(..)")
    }
}

/// A certificate that was just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its serial number, big endian.
    pub serial: Vec<u8>,
    /// First second of its validity.
    pub not_before: UnixSeconds,
    /// Last second of its validity.
    pub not_after: UnixSeconds,
}

impl Authority {
    /// The self-signed certificate of a new authority, which its key is to sign.
    ///
    /// # Errors
    /// [`CaError`] if the name cannot stand in a certificate.
    pub fn self_signed(
        key: &VerifyingKey,
        name: &AuthorityName,
        now: UnixSeconds,
        rng: &mut dyn CryptoRng,
    ) -> Result<ToSign<impl builder::Builder<Output = Certificate> + use<>>, CaError> {
        let name = name.to_name()?;
        let profile = Profile::authority(name, &key_info(key)?)?;
        let validity = validity(now.minus(CLOCKS_SECONDS), now.plus(AUTHORITY_SECONDS))?;
        let certificate = CertificateBuilder::new(profile, serial(rng)?, validity, key_info(key)?)?;
        ToSign::new(certificate, key)
    }

    /// The authority with this key and certificate.
    ///
    /// # Errors
    /// [`CaError::OtherKey`] if they do not belong together.
    pub fn new(key: VerifyingKey, der: Vec<u8>, terms: Terms) -> Result<Self, CaError> {
        let certificate = Certificate::from_der(&der)?;
        if *certificate.tbs_certificate().subject_public_key_info() != key_info(&key)? {
            return Err(CaError::OtherKey);
        }
        Ok(Self { key, certificate, der, terms })
    }

    /// Its certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.der
    }

    /// Its distinguished name, for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    /// A certificate for the key of `request`, with its binding, valid from [`CLOCKS_SECONDS`] before `now`. It does not
    /// outlive the authority's own. The authority's key is to sign it.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue(
        &self,
        request: &Request,
        subject: &Subject,
        now: UnixSeconds,
        rng: &mut dyn CryptoRng,
    ) -> Result<Issue, CaError> {
        let end = self.certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
        let not_after = now.plus(self.terms.certificate_seconds).min(UnixSeconds(end));
        if not_after <= now {
            return Err(CaError::Ended);
        }
        let info = signer_core::certificate::public_key_info(&request.public_key)?;
        let profile = Profile::holder(self, subject.to_name()?, &info, &request.binding)?;
        let serial = serial(rng)?;
        let not_before = now.minus(CLOCKS_SECONDS);
        let validity = validity(not_before, not_after)?;
        let certificate = CertificateBuilder::new(profile, serial.clone(), validity, info)?;
        let certificate = ToSign::new(certificate, &self.key)?;
        Ok(Issue { certificate, serial: serial.as_bytes().to_vec(), not_before, not_after })
    }
}

/// A random positive serial number of 128 bits (RFC 5280 §4.1.2.2).
fn serial(rng: &mut dyn CryptoRng) -> Result<SerialNumber, x509_cert::der::Error> {
    let mut bytes = [0; SERIAL_BYTES];
    rng.fill_bytes(&mut bytes);
    // Positive, and always of the same length.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::new(&bytes)
}

fn key_info(key: &VerifyingKey) -> Result<SubjectPublicKeyInfo, CaError> {
    let document = key.to_public_key_der().map_err(|_| CertificateError::PublicKey)?;
    Ok(document.decode_msg()?)
}

fn validity(from: UnixSeconds, to: UnixSeconds) -> Result<Validity, x509_cert::der::Error> {
    Ok(Validity::new(time(from)?, time(to)?))
}

/// UTCTime until 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5).
fn time(at: UnixSeconds) -> Result<Time, x509_cert::der::Error> {
    let at = GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(at.0))?;
    Ok(Time::from(at.to_date_time()))
}
