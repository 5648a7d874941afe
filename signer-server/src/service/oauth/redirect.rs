//! Redirect URIs: where a browser goes back to. They are compared as they stand, so nothing of them is normalised.

/// Longest one, bytes.
const BYTES_MAX: usize = 500;
/// Most of one client.
pub(super) const REDIRECT_URIS_MAX: usize = 10;

/// Whether a client may be registered with it: `https`, or `http` to this machine (RFC 8252 §7.3); no fragment (RFC 6749
/// §3.1.2), no user, nothing that two readers could take for different hosts.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(uri: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}#".contains(&byte);
    if uri.len() > BYTES_MAX || !uri.bytes().all(plain) {
        return Err("a redirect URI is at most 500 visible ASCII characters, without a fragment");
    }
    let (scheme, rest) = uri.split_once("://").ok_or("a redirect URI begins with https://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if !authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) {
        return Err("a redirect URI names a host, without user and password");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("a redirect URI names a host, and a port if any");
    }
    match scheme {
        "https" => Ok(()),
        "http" if ["127.0.0.1", "[::1]", "localhost"].contains(&host) => Ok(()),
        _ => Err("a redirect URI is https://, or http:// to 127.0.0.1, [::1] or localhost"),
    }
}

/// The address with parameters added to its query.
pub(super) fn with(uri: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, before)) if before.is_empty() || before.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oau_011_redirect_uris_are_https_or_of_this_machine() {
        for good in [
            "https://bank.example/back",
            "https://bank.example:8443/back?a=b",
            "https://bank.example",
            "http://127.0.0.1:8080/callback",
            "http://localhost/",
            "http://[::1]:9/x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long = format!("https://bank.example/{}", "x".repeat(500));
        for bad in [
            "",
            "bank.example/back",
            "http://bank.example/back",
            "http://127.0.0.1.bank.example/",
            "http://localhost@bank.example/",
            "https://user@bank.example/",
            "https://bank.example/#part",
            "https://bank.example\\@evil.example/",
            "https://bank.example/a b",
            "https://bank.example/\n",
            "https://банк.example/",
            "https:///back",
            "https://:443/",
            "https://bank.example:x/",
            "https://bank.example:99999/",
            "javascript://bank.example/%0aalert(1)",
            "data:text/html,x",
            "app.example:/back",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_added_to_what_is_there() {
        let with = |uri| with(uri, &[("code", "a b"), ("state", "&")]);
        assert_eq!(with("https://b.example/x"), "https://b.example/x?code=a+b&state=%26");
        assert_eq!(with("https://b.example/x?"), "https://b.example/x?code=a+b&state=%26");
        assert_eq!(with("https://b.example/x?y=1"), "https://b.example/x?y=1&code=a+b&state=%26");
    }
}
