//! What calls to other servers share: the client, trust in certificates, and errors as text.

use std::{error::Error, fmt, io, path::Path, sync::Arc, time::Duration};

use axum::body::HttpBody;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// A client of HTTP/1.1 over `connector`, with a time to connect; the number of idle connections kept to one server, and for how
/// long; and the authorities in a PEM file, or those of the web.
///
/// # Errors
/// What is wrong with the file, by its name.
pub(crate) fn client<R, B>(
    mut connector: HttpConnector<R>,
    connect_timeout: Duration,
    (idle, idle_time): (usize, Duration),
    ca_file: Option<&Path>,
) -> Result<Client<HttpsConnector<HttpConnector<R>>, B>, String>
where
    HttpsConnector<HttpConnector<R>>: Connect + Clone,
    B: HttpBody<Data: Send> + Send,
{
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(ca_file)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle_time)
        .pool_max_idle_per_host(idle)
        .http1_max_headers(64)
        .build(connector))
}

/// TLS that trusts the authorities in a PEM file, or those of the web.
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
