//! Where a webhook may be: what its relying party may register, and what the server connects to.
//!
//! A relying party chooses the address and the server, inside the operator's network, calls it. So that it is no way in, only
//! public addresses are called, as a name resolves at the moment of the connection; `webhooks.allow_private` lifts that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::Uri;
use signer_core::wire::WEBHOOK_URL_BYTES_MAX;

/// A webhook's URL in the one form that is signed, or what is wrong with it.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(text: &str, allow_private: bool) -> Result<Uri, &'static str> {
    if text.len() > WEBHOOK_URL_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("an address of urls has at most 500 visible ASCII characters");
    }
    let form = "an address of urls is a URL in normal form: https, host in lower case, path, no user, fragment, default port or dot segment";
    let uri: Uri = text.parse().map_err(|_| form)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(form) };
    let host = authority.host();
    let port = authority.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let default = if scheme == "https" { ":443" } else { ":80" };
    let dots = uri.path().split('/').any(|segment| matches!(segment, "." | ".."));
    // Two URIs compare without regard to case; here it is the text that is signed.
    let written = uri.to_string();
    let normal = written == text
        && authority.as_str() == format!("{host}{port}")
        && host == host.to_ascii_lowercase()
        && port != default
        && port != ":0"
        && !dots;
    if !normal || !matches!(scheme, "https" | "http") {
        return Err(form);
    }
    let address = literal(host);
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    if scheme == "http" && !(loopback && allow_private) {
        return Err(
            "an address of urls is https; http only to the server's own machine, where the operator allows private addresses",
        );
    }
    let is_private = loopback || address.is_some_and(|address| !is_public(address));
    if is_private && !allow_private {
        return Err("an address of urls is a public one: the operator does not allow private addresses");
    }
    Ok(uri)
}

/// The address a host is, if it is no name.
fn literal(host: &str) -> Option<IpAddr> {
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    six.map_or_else(|| host.parse().ok().map(IpAddr::V4), |host| host.parse().ok().map(IpAddr::V6))
}

/// Whether an address is on the public Internet: none that the registries of special-purpose addresses (RFC 6890) keep from
/// it, and none that hides one of those.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, private use, loopback; multicast, reserved and broadcast.
        (0 | 10 | 127 | 224..=255, ..) => true,
        // Shared address space, link-local, private use.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, 6to4 relays, documentation, benchmarking.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // NAT64 (RFC 6052) leads to an IPv4 address.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => embedded(g, h),
        // Protocol assignments with Teredo, documentation, 6to4.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) => false,
        // Documentation.
        (0x3fff, 0..=0xfff) => false,
        // All else that is public is in 2000::/3; IPv4 in IPv6, loopback, unique local, link-local and multicast are not.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hok_010_addresses_that_are_not_public_are_known() {
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2001:200::1",
            "2a00:1450::1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn hok_011_one_form_of_a_url_is_taken() {
        for good in [
            "https://bank.example/hook",
            "https://bank.example/",
            "https://bank.example:8443/a/b?c=d",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://xn--80abc.example/~x",
        ] {
            assert!(check(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "hook",
            "/hook",
            "bank.example",
            "https://",
            "https:///hook",
            "https://bank.example",
            "https://Bank.example/",
            "HTTPS://bank.example/",
            "https://bank.example:443/",
            "https://bank.example:/",
            "https://bank.example:0/",
            "https://bank.example:080/",
            "https://user@bank.example/",
            "https://a:b@bank.example/",
            "https://bank.example/#x",
            "https://bank.example/a/../b",
            "https://bank.example/./b",
            "https://bank.example/ ",
            "https://bank.example/\n",
            "ftp://bank.example/",
            "file:///etc/passwd",
            "http://bank.example/",
            "http://8.8.8.8/",
            "https://банк.example/",
        ] {
            assert!(check(bad, false).is_err() && check(bad, true).is_err(), "{bad}");
        }
        assert!(check(&format!("https://bank.example/{}", "x".repeat(479)), false).is_ok());
        assert!(check(&format!("https://bank.example/{}", "x".repeat(480)), false).is_err());
        for private in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/",
            "http://127.0.0.1:8080/hook",
            "http://localhost:8080/hook",
            "http://[::1]:8080/",
        ] {
            assert!(check(private, false).is_err() && check(private, true).is_ok(), "{private}");
        }
        assert!(check("http://10.0.0.1/", true).is_err());
    }
}
