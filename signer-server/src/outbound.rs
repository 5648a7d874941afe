//! What calls to other servers share: trust in their certificates, and errors as text.

use std::{error::Error, fmt, io, path::Path, sync::Arc};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// TLS that trusts the authorities in a PEM file, or those of the web.
///
/// # Errors
/// What is wrong with the file, by its name.
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let Some(file) = ca_file else { return Ok(config.with_webpki_roots().with_no_client_auth()) };
    let named = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| named(&error))? {
        let certificate = certificate.map_err(|error| named(&error))?;
        roots.add(certificate).map_err(|error| named(&error))?;
    }
    if roots.is_empty() {
        return Err(named(&io::Error::new(io::ErrorKind::InvalidData, "no certificate in it")));
    }
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// An error and what it comes from: the outermost one alone says little.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
