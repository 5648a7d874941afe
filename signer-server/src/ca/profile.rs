//! Extensions of both kinds of certificate.

use signer_core::{
    certificate::{BINDING, POLICY},
    domain::sha256,
};
use x509_cert::{
    SubjectPublicKeyInfo, TbsCertificate,
    builder::{self, profile::BuilderProfile},
    der::{
        Encode as _,
        asn1::{Ia5String, ObjectIdentifier, OctetString},
    },
    ext::{
        Extension, ToExtension as _,
        pkix::{
            AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
            CertificatePolicies, CrlDistributionPoints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
            certpolicy::PolicyInformation,
            crl::dp::DistributionPoint,
            name::{DistributionPointName, GeneralName},
        },
    },
    name::Name,
    spki::SubjectPublicKeyInfoRef,
};

use super::Authority;

/// id-ad-caIssuers (RFC 5280 §4.2.2.1).
const CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// Subject, issuer and extensions of one certificate.
pub(super) struct Profile {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
}

type DerResult<T> = Result<T, x509_cert::der::Error>;

impl Profile {
    /// Of a self-signed authority that issues to holders only.
    pub(super) fn authority(name: Name, info: &SubjectPublicKeyInfo) -> DerResult<Self> {
        let mut extensions = Vec::new();
        let add = |extension: DerResult<Extension>| extension.map(|extension| extensions.push(extension));
        let key = key_identifier(info)?;
        [
            BasicConstraints { ca: true, path_len_constraint: Some(0) }.to_extension(&name, &[]),
            KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign).to_extension(&name, &[]),
            SubjectKeyIdentifier(key.clone()).to_extension(&name, &[]),
            authority_key(key).to_extension(&name, &[]),
        ]
        .into_iter()
        .try_for_each(add)?;
        Ok(Self { issuer: name.clone(), subject: name, extensions })
    }

    /// Of a holder, who signs documents.
    pub(super) fn holder(
        authority: &Authority,
        subject: Name,
        info: &SubjectPublicKeyInfo,
        binding: &[u8; 32],
    ) -> DerResult<Self> {
        let mut extensions = Vec::new();
        let add = |extension: DerResult<Extension>| extension.map(|extension| extensions.push(extension));
        let own = authority.certificate.tbs_certificate();
        let url = &authority.terms.public_url;
        let usages = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
        let policy = PolicyInformation { policy_identifier: POLICY, policy_qualifiers: None };
        [
            authority_key(key_identifier(own.subject_public_key_info())?).to_extension(&subject, &[]),
            SubjectKeyIdentifier(key_identifier(info)?).to_extension(&subject, &[]),
            KeyUsage(usages).to_extension(&subject, &[]),
            CertificatePolicies(vec![policy]).to_extension(&subject, &[]),
            CrlDistributionPoints(vec![distribution_point(uri(&format!("{url}/ca/v1/crl.der"))?)])
                .to_extension(&subject, &[]),
            AuthorityInfoAccessSyntax(vec![AccessDescription {
                access_method: CA_ISSUERS,
                access_location: uri(&format!("{url}/ca/v1/ca.der"))?,
            }])
            .to_extension(&subject, &[]),
            binding_extension(binding),
        ]
        .into_iter()
        .try_for_each(add)?;
        Ok(Self { issuer: own.subject().clone(), subject, extensions })
    }
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}

/// First 20 bytes of SHA-256 over the key (RFC 7093 §2, method 1): no SHA-1.
fn key_identifier(info: &SubjectPublicKeyInfo) -> DerResult<OctetString> {
    let hash = sha256(info.subject_public_key.raw_bytes());
    OctetString::new(&hash[..20])
}

fn authority_key(key: OctetString) -> AuthorityKeyIdentifier {
    AuthorityKeyIdentifier { key_identifier: Some(key), ..Default::default() }
}

fn binding_extension(binding: &[u8; 32]) -> DerResult<Extension> {
    let extn_value = OctetString::new(OctetString::new(binding.as_slice())?.to_der()?)?;
    Ok(Extension { extn_id: BINDING, critical: false, extn_value })
}

fn uri(text: &str) -> DerResult<GeneralName> {
    Ia5String::new(text).map(GeneralName::UniformResourceIdentifier)
}

fn distribution_point(at: GeneralName) -> DistributionPoint {
    let full_name = DistributionPointName::FullName(vec![at]);
    DistributionPoint { distribution_point: Some(full_name), reasons: None, crl_issuer: None }
}
