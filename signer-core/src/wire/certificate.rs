//! The certificate of an installation's key.

use minicbor::{Decode, Encode};

use crate::{
    certificate::{CERTIFICATE_BYTES_MAX, CHAIN_MAX},
    codec::{Blob, List},
    time::UnixSeconds,
};

/// A certificate or request, DER.
pub type Der = Blob<CERTIFICATE_BYTES_MAX>;

/// Asks for the certificate in use. The server renews one that has less than a third of its life left.
#[derive(Debug, Encode, Decode)]
pub struct CertificateQuery {}

/// Reply to [`CertificateQuery`]. The device checks both: they must be for its own key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertificateReply {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// The certification request that was signed at enrolment, DER.
    #[n(1)]
    pub request: Der,
    /// DER certificates, the holder's own first, an authority's last.
    #[n(2)]
    pub chain: List<Der, CHAIN_MAX>,
}
