//! The revocation list (RFC 5280 §5): version 2, complete, numbered.

use signer_core::time::UnixSeconds;
use x509_cert::{
    builder::{Builder, CrlBuilder},
    crl::{CertificateList, RevokedCert},
    ext::{
        ToExtension as _,
        pkix::{CrlNumber, CrlReason},
    },
    serial_number::SerialNumber,
};

use super::{Authority, CLOCKS_SECONDS, CaError, ToSign, time};
use crate::store::{RevocationReason, Revoked};

impl Authority {
    /// The list with this number, as of `now`; the next one is promised for `crl_seconds` later. The authority's key is to
    /// sign it.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn crl(
        &self,
        number: u64,
        entries: &[Revoked],
        now: UnixSeconds,
    ) -> Result<ToSign<impl Builder<Output = CertificateList> + use<>>, CaError> {
        let next = time(now.plus(self.terms.crl_seconds))?;
        let this = time(now.minus(CLOCKS_SECONDS))?;
        let list = CrlBuilder::new_with_this_update(&self.certificate, CrlNumber::try_from(number)?, this)?
            .with_next_update(Some(next));
        let entries = entries.iter().map(|entry| self.entry(entry)).collect::<Result<Vec<_>, _>>()?;
        // RFC 5280 §5.1.2.6: an empty list is absent.
        let list = if entries.is_empty() { list } else { list.with_certificates(entries.into_iter()) };
        ToSign::new(list, &self.key)
    }

    fn entry(&self, entry: &Revoked) -> Result<RevokedCert, CaError> {
        let issuer = self.certificate.tbs_certificate().subject();
        // RFC 5280 §5.3.1: an unspecified reason is absent.
        let reason = reason(entry.reason).map(|reason| reason.to_extension(issuer, &[])).transpose()?;
        Ok(RevokedCert {
            serial_number: SerialNumber::new(&entry.serial)?,
            revocation_date: time(entry.at)?,
            crl_entry_extensions: reason.map(|reason| vec![reason]),
        })
    }
}

const fn reason(reason: RevocationReason) -> Option<CrlReason> {
    Some(match reason {
        RevocationReason::Unspecified => return None,
        RevocationReason::KeyCompromise => CrlReason::KeyCompromise,
        RevocationReason::AffiliationChanged => CrlReason::AffiliationChanged,
        RevocationReason::Superseded => CrlReason::Superseded,
        RevocationReason::CessationOfOperation => CrlReason::CessationOfOperation,
        RevocationReason::Hold => CrlReason::CertificateHold,
        RevocationReason::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
    })
}
