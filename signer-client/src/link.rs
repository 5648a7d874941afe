//! Device links: made each second in the relying party's back end, read by the phone that scans one.
//!
//! Never give the secret, or links made ahead, to a page: whoever has them needs not be there.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use signer_core::{
    secret::SecretBytes,
    wire::{CreatedRequest, LINK_OPENS_WITH, OpenLink, link_mac},
};

/// The link of one request, for its maker.
pub struct DeviceLink {
    server: String,
    token: [u8; 32],
    secret: SecretBytes<32>,
}

impl fmt::Debug for DeviceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceLink(redacted)")
    }
}

impl DeviceLink {
    /// The link of a request that was made with one.
    #[must_use]
    pub fn of(made: &CreatedRequest) -> Option<Self> {
        let token = bytes(made.link_token.as_ref()?)?;
        let secret = SecretBytes::new(bytes(made.link_secret.as_ref()?)?);
        Some(Self { server: made.link_url.clone()?, token, secret })
    }

    /// The link to show in the second that begins `elapsed` whole seconds after the request was made. It is good for three
    /// seconds.
    #[must_use]
    pub fn at(&self, elapsed: u64) -> String {
        let encode = |bytes: &[u8; 32]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (token, mac) = (encode(&self.token), encode(&link_mac(&self.secret, &self.token, elapsed).tag()));
        format!("{}{LINK_OPENS_WITH}{elapsed}&s={token}&a={mac}", self.server)
    }
}

/// Reads a link; a link has one form. It is posted to the phone's own server, whatever host it names.
pub(crate) fn read_link(text: &str) -> Option<OpenLink> {
    let (_, rest) = text.split_once(LINK_OPENS_WITH)?;
    let (elapsed, rest) = rest.split_once("&s=")?;
    let (token, mac) = rest.split_once("&a=")?;
    let open = OpenLink { elapsed: elapsed.parse().ok()?, token: bytes(token)?, mac: bytes(mac)? };
    (open.elapsed.to_string() == elapsed).then_some(open)
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        server: String,
        token: String,
        secret: String,
        links: Vec<Vector>,
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        elapsed: u64,
        link: String,
    }

    fn vectors() -> (DeviceLink, Vec<Vector>) {
        let text = include_str!("../../spec/vectors/device-link.json");
        let Vectors { server, token, secret, links } = serde_json::from_str(text).unwrap();
        let secret = SecretBytes::new(bytes(&secret).unwrap());
        (DeviceLink { server, token: bytes(&token).unwrap(), secret }, links)
    }

    #[test]
    fn cli_160_links_are_those_of_the_vectors_and_are_read_back() {
        let (link, vectors) = vectors();
        assert!(vectors.len() >= 3);
        for Vector { elapsed, link: expected } in vectors {
            assert_eq!(link.at(elapsed), expected);
            let read = read_link(&expected).unwrap();
            assert_eq!((read.token, read.elapsed), (link.token, elapsed));
            assert!(link_mac(&link.secret, &read.token, elapsed).verify(&read.mac));
        }
        assert_eq!(format!("{link:?}"), "DeviceLink(redacted)");
    }

    #[test]
    fn cli_161_what_has_another_form_is_no_link() {
        let (link, _) = vectors();
        let good = link.at(17);
        assert!(read_link(&good).is_some());
        for bad in [
            String::new(),
            good.replace("?v=1", "?v=2"),
            good.replace("t=17", "t=017"),
            good.replace("t=17", "t=+17"),
            good.replace("t=17", "t=-1"),
            good.replace("t=17", "t=99999999999999999999"),
            good.replace("&s=", "&S="),
            format!("{good}="),
            format!("{good}&b=1"),
            format!("{good}A"),
            good[..good.len() - 1].into(),
            good.to_uppercase(),
        ] {
            assert_eq!(read_link(&bad), None, "{bad}");
        }
    }
}
