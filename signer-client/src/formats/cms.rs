//! CMS SignedData, detached (RFC 5652), with the signed attributes of CAdES baseline B (ETSI EN 319 122-1 §6.3).

use der::{
    Any, DateTime, Decode as _, Encode as _, EncodeValue, Tagged,
    asn1::{OctetString, SetOfVec},
};
use signer_core::{
    certificate::{der_from_raw, raw_from_der},
    domain::sha256,
    time::UnixSeconds,
};
use x509_cert::{attr::Attribute, time::Time};

use super::{
    CertificateRef, FILE_BYTES_MAX, Format, FormatError, SignerCertificates, Verified,
    cms_types::{
        ContentInfo, ECDSA_WITH_SHA_256, EncapsulatedContentInfo, EssCertIdV2, ID_CONTENT_TYPE, ID_DATA,
        ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_CERTIFICATE_V2, ID_SIGNING_TIME, IssuerAndSerialNumber,
        SHA_256, SignedData, SignerInfo, SigningCertificateV2,
    },
};

type Attributes = SetOfVec<Attribute>;

/// Longest ECDSA-Sig-Value of P-256.
const SIGNATURE_BYTES_MAX: usize = 72;

/// A CMS signature without its signature value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedCms {
    certificate: CertificateRef,
    attributes: Attributes,
    digest: [u8; 32],
}

impl UnsignedCms {
    /// A CMS signature over `document`, said to be made at `signing_time`.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if `signing_time` is beyond year 9999.
    pub fn prepare(
        document: &[u8],
        certificate: &CertificateRef,
        signing_time: UnixSeconds,
    ) -> Result<Self, FormatError> {
        Self::over(&sha256(document), certificate, Some(time(signing_time)?))
    }

    /// A CMS signature over content with this SHA-256, with or without a time.
    pub(super) fn over(
        content: &[u8; 32],
        certificate: &CertificateRef,
        signing_time: Option<Time>,
    ) -> Result<Self, FormatError> {
        let attributes = attributes(content, certificate, signing_time).map_err(unencodable)?;
        let digest = digest(&attributes)?;
        Ok(Self { certificate: certificate.clone(), attributes, digest })
    }

    /// The most bytes [`Self::complete`] gives if the certificates have at most `certificates` bytes.
    pub(super) fn bytes_max(&self, certificates: usize) -> Result<usize, FormatError> {
        let (certificate, attributes) = (self.certificate.clone(), self.attributes.clone());
        let longest = vec![0; SIGNATURE_BYTES_MAX];
        let content = signed_data(certificate, attributes, longest, &[]).map_err(unencodable)?;
        let rest = ContentInfo { content_type: ID_SIGNED_DATA, content }.to_der().map_err(unencodable)?;
        // Around the certificates three lengths grow, each by at most four bytes.
        Ok(rest.len().saturating_add(certificates).saturating_add(12))
    }

    /// What is signed: SHA-256 of the signed attributes as a SET OF (RFC 5652 §5.4).
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// DER of the ContentInfo.
    ///
    /// # Errors
    /// [`FormatError::Certificate`] or [`FormatError::Signature`] if the arguments do not belong together.
    pub fn complete(
        self,
        signature: &[u8],
        certificates: &SignerCertificates,
    ) -> Result<Vec<u8>, FormatError> {
        certificates.check(&self.certificate, &self.digest, signature)?;
        let signature = der_from_raw(signature).map_err(|_| FormatError::Signature)?;
        let signed = signed_data(self.certificate, self.attributes, signature, &certificates.embedded());
        let content = signed.map_err(unencodable)?;
        ContentInfo { content_type: ID_SIGNED_DATA, content }.to_der().map_err(unencodable)
    }
}

/// Verifies a CMS signature over `document`, under the certificate it carries.
///
/// # Errors
/// [`FormatError`]
pub fn verify_cms(file: &[u8], document: &[u8]) -> Result<Verified, FormatError> {
    let read = read(file)?;
    let signing_time = signing_time(&read.signer.signed_attributes)?;
    let certificates = read.verify(&sha256(document), Some(signing_time))?;
    let signing_time = UnixSeconds(signing_time.to_unix_duration().as_secs());
    Ok(Verified { format: Format::Cms, certificates, signing_time: Some(signing_time) })
}

/// Verifies a CMS signature without a time over content with this SHA-256.
pub(super) fn verify_over(file: &[u8], content: &[u8; 32]) -> Result<SignerCertificates, FormatError> {
    read(file)?.verify(content, None)
}

const NOT_CMS: FormatError = FormatError::Malformed("not a detached CMS signature by one signer");

/// A CMS signature of which nothing is believed yet.
struct Unverified<'a> {
    file: &'a [u8],
    signer: SignerInfo,
    certificates: SetOfVec<Any>,
}

fn read(file: &[u8]) -> Result<Unverified<'_>, FormatError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(NOT_CMS);
    }
    let content = ContentInfo::from_der(file).map_err(|_| NOT_CMS)?.content;
    let [signer] = content.signer_infos.as_slice() else { return Err(NOT_CMS) };
    if signer.digest_algorithm != SHA_256 || signer.signature_algorithm != ECDSA_WITH_SHA_256 {
        return Err(NOT_CMS);
    }
    Ok(Unverified { file, signer: signer.clone(), certificates: content.certificates })
}

impl Unverified<'_> {
    /// Only what the content and the certificate leave open was read; the rest is written again and must come out the same.
    fn verify(
        self,
        content: &[u8; 32],
        signing_time: Option<Time>,
    ) -> Result<SignerCertificates, FormatError> {
        let signer = self.signer;
        let certificates = find_signer(&self.certificates, &signer.signer)?;
        let reference = certificates.reference().clone();
        let expected = attributes(content, &reference, signing_time).map_err(unencodable)?;
        if let Some(at_fault) = first_difference(&expected, &signer.signed_attributes) {
            return Err(at_fault);
        }
        let digest = digest(&expected)?;
        let signature = signer.signature.as_bytes().to_vec();
        let raw = raw_from_der(&signature).map_err(|_| FormatError::Signature)?;
        let content =
            signed_data(reference, expected, signature, &certificates.embedded()).map_err(unencodable)?;
        let same = ContentInfo { content_type: ID_SIGNED_DATA, content }.to_der();
        if same.as_deref() != Ok(self.file) {
            return Err(NOT_CMS);
        }
        certificates.check_signature(&digest, &raw)?;
        Ok(certificates)
    }
}

fn signed_data(
    certificate: CertificateRef,
    signed_attributes: Attributes,
    signature: Vec<u8>,
    certificates: &[&[u8]],
) -> der::Result<SignedData> {
    let certificates: der::Result<Vec<_>> = certificates.iter().map(|der| Any::from_der(der)).collect();
    let signer = SignerInfo {
        version: 1,
        signer: IssuerAndSerialNumber { issuer: certificate.issuer, serial_number: certificate.serial },
        digest_algorithm: SHA_256,
        signed_attributes,
        signature_algorithm: ECDSA_WITH_SHA_256,
        signature: OctetString::new(signature)?,
    };
    Ok(SignedData {
        version: 1,
        digest_algorithms: SetOfVec::try_from(vec![SHA_256])?,
        encapsulated: EncapsulatedContentInfo { content_type: ID_DATA },
        certificates: SetOfVec::try_from(certificates?)?,
        signer_infos: SetOfVec::try_from(vec![signer])?,
    })
}

/// The signed attributes, in the order of a DER SET OF: four, or three without a time.
fn attributes(
    content: &[u8; 32],
    certificate: &CertificateRef,
    time: Option<Time>,
) -> der::Result<Attributes> {
    let hash = OctetString::new(certificate.sha256)?;
    let signing_certificate = SigningCertificateV2 { certificates: vec![EssCertIdV2 { hash }] };
    let mut attributes = vec![
        attribute(ID_CONTENT_TYPE, &ID_DATA)?,
        attribute(ID_MESSAGE_DIGEST, &OctetString::new(*content)?)?,
        attribute(ID_SIGNING_CERTIFICATE_V2, &signing_certificate)?,
    ];
    if let Some(time) = time {
        attributes.push(attribute(ID_SIGNING_TIME, &time)?);
    }
    SetOfVec::try_from(attributes)
}

fn attribute<T: EncodeValue + Tagged>(oid: der::asn1::ObjectIdentifier, value: &T) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![Any::encode_from(value)?])? })
}

/// Over the SET OF with its own tag, not the one it has inside the SignerInfo (RFC 5652 §5.4).
fn digest(attributes: &Attributes) -> Result<[u8; 32], FormatError> {
    attributes.to_der().map(|der| sha256(&der)).map_err(unencodable)
}

/// UTCTime until 2049, GeneralizedTime after (RFC 5652 §11.3).
fn time(seconds: UnixSeconds) -> Result<Time, FormatError> {
    let time = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds.0));
    time.map(Time::from).map_err(unencodable)
}

fn signing_time(attributes: &Attributes) -> Result<Time, FormatError> {
    let attribute = attributes.iter().find(|attribute| attribute.oid == ID_SIGNING_TIME);
    let value = attribute.and_then(|attribute| attribute.values.get(0));
    let time = value.and_then(|value| Time::from_der(&value.to_der().ok()?).ok());
    time.ok_or(FormatError::Malformed("the signing time of the CMS signature"))
}

/// Among the certificates, the one that `signer` names, first.
fn find_signer(
    certificates: &SetOfVec<Any>,
    signer: &IssuerAndSerialNumber,
) -> Result<SignerCertificates, FormatError> {
    let ders: Result<Vec<_>, _> = certificates.iter().map(der::Encode::to_der).collect();
    let mut ders = ders.map_err(unencodable)?;
    let named = |der: &Vec<u8>| {
        super::certificate::read(der).is_ok_and(|certificate| {
            let tbs = certificate.tbs_certificate();
            *tbs.issuer() == signer.issuer && *tbs.serial_number() == signer.serial_number
        })
    };
    let position = ders.iter().position(named).ok_or(FormatError::Certificate)?;
    ders.swap(0, position);
    SignerCertificates::new(&ders)
}

fn first_difference(expected: &Attributes, found: &Attributes) -> Option<FormatError> {
    if expected == found {
        return None;
    }
    let differs = |oid| {
        let of = |attributes: &Attributes| attributes.iter().find(|attribute| attribute.oid == oid).cloned();
        of(found).is_some() && of(found) != of(expected)
    };
    Some(if differs(ID_MESSAGE_DIGEST) {
        FormatError::Document
    } else if differs(ID_SIGNING_CERTIFICATE_V2) {
        FormatError::Certificate
    } else {
        FormatError::Malformed("the signed attributes of the CMS signature")
    })
}

fn unencodable(_: der::Error) -> FormatError {
    FormatError::Malformed("a value has no encoding in DER")
}
