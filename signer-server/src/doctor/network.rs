//! What others reach: the running server, its public address, its certificate, the document register.

use std::{fmt, sync::Arc, time::Duration};

use signer_core::credential::DocumentType;

use super::Finding;
use crate::{
    app,
    config::Config,
    http::Tls,
    ports::{Clock, Random, SystemRandom},
    store::Holder,
};

/// Time for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// From when on the end of a certificate is warned of, days.
const CERTIFICATE_DAYS: u64 = 14;

pub(super) async fn examine(config: &Config, clock: &Arc<dyn Clock>) -> Vec<Finding> {
    let mut findings = vec![certificate(config, clock), running(config), public(config)];
    findings.extend(register(config).await);
    findings
}

fn certificate(config: &Config, clock: &Arc<dyn Clock>) -> Finding {
    let Some((certificate, key)) = config.tls.files() else {
        return Finding::warning(
            "tls",
            "this server speaks plain HTTP: what ends TLS in front of it sees approve bodies",
            "set tls.certificate_file and tls.key_file, and let the proxy pass connections on",
        );
    };
    let tls = match Tls::open(certificate, key, Arc::clone(clock)) {
        Ok(tls) => tls,
        Err(error) => return Finding::bad("tls", error, "put certificate and key of one another there"),
    };
    match tls.left() / 86_400 {
        0 => Finding::bad(
            "tls",
            "the certificate has ended or ends today",
            "renew it: the server takes up new files by itself",
        ),
        days if days < CERTIFICATE_DAYS => Finding::warning(
            "tls",
            format!("the certificate ends in {days} days"),
            "renew it: the server takes up new files by itself",
        ),
        days => Finding::good("tls", format!("the certificate is good for {days} days")),
    }
}

/// The server, on its own address or the operator's.
fn running(config: &Config) -> Finding {
    let address = config.admin_listen().unwrap_or(config.listen);
    match status(&format!("http://{address}/health/ready")) {
        Ok(200) => Finding::good("server", format!("ready on {address}")),
        Ok(status) => Finding::bad(
            "server",
            format!("on {address}, not ready: it answers {status}"),
            "its log says why",
        ),
        Err(error) => Finding::warning(
            "server",
            format!("not running: {error}"),
            "signer-server serve, with the same configuration",
        ),
    }
}

/// The address that is written into certificates and links.
fn public(config: &Config) -> Finding {
    let Some(url) = &config.ca.public_url else {
        let fix = "set ca.public_url before the first enrolment: it stands in every certificate";
        return Finding::warning("public", "no public address", fix);
    };
    match status(&format!("{url}/ca/v1/crl.der")) {
        Ok(200) => Finding::good("public", format!("{url} serves the revocation list")),
        Ok(status) => Finding::bad(
            "public",
            format!("{url}/ca/v1/crl.der answers {status}"),
            "let it lead to this server",
        ),
        Err(error) => Finding::warning(
            "public",
            format!("{url} is not reached from here: {error}"),
            "try it from outside; verifiers need it",
        ),
    }
}

/// Asks for a document of somebody whom no register knows.
async fn register(config: &Config) -> Option<Finding> {
    let url = config.register.url.as_ref()?;
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let asked = match (app::open_register(config, &random), Holder::new("signer-server-doctor")) {
        (Ok(Some(register)), Some(nobody)) => register
            .document(&nobody, DocumentType::IdentityCard.number().into())
            .await
            .map_err(|error| error.to_string()),
        (Err(error), _) => Err(error.to_string()),
        _ => return None,
    };
    Some(match asked {
        Ok(_) => Finding::good("register", format!("{url} answers")),
        Err(error) => Finding::bad(
            "register",
            format!("{url}: {error}"),
            "codes stay amber and nothing is issued until it answers",
        ),
    })
}

fn status(url: &str) -> Result<u16, impl fmt::Display> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    agent.get(url).call().map(|answer| answer.status().as_u16())
}
