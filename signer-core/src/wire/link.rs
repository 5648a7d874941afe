//! Device link: a request for whoever scans its QR first. The relying party's own machine makes a new link each second, from a
//! secret that neither the page nor the phone has; a link is good for three seconds. So a picture of it is of no use later,
//! and who wants to pass it on must do so live.
//!
//! ```text
//! <public url>/link?v=1&t=<elapsed>&s=<token>&a=<MAC>       MAC = M[link secret; device-link](token, n(elapsed))
//! ```

use minicbor::{Decode, Encode};

use crate::{
    domain::{Domain, Macer},
    ids::RequestId,
    secret::SecretBytes,
};

/// Most seconds a link may be old, by the server's clock.
pub const LINK_OLD_SECONDS_MAX: u64 = 3;
/// Most seconds a link may be ahead of the server's clock.
pub const LINK_AHEAD_SECONDS_MAX: u64 = 1;
/// What a link has after the server's public URL, up to the elapsed seconds.
pub const LINK_OPENS_WITH: &str = "/link?v=1&t=";

/// What proves that a link was made `elapsed` whole seconds after its request: by [`Macer::tag`], checked by
/// [`Macer::verify`].
#[must_use]
pub fn link_mac(secret: &SecretBytes<32>, token: &[u8; 32], elapsed: u64) -> Macer {
    Macer::new(secret, Domain::DeviceLink).field(token).number(elapsed)
}

/// A scanned link, posted to the server. The first phone that does gets the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct OpenLink {
    /// Whole seconds from the making of the request to that of the link.
    #[n(0)]
    pub elapsed: u64,
    /// Names the link.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub token: [u8; 32],
    /// [`link_mac`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub mac: [u8; 32],
}

/// Reply to [`OpenLink`]: from now on the request is listed among the phone's others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LinkOpened {
    /// The request.
    #[n(0)]
    pub request: RequestId,
}
