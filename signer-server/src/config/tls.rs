//! TLS in this process, and the operator's address beside it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Config, ConfigError};

/// Where the operator's API is once the public address speaks TLS.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7401);

/// TLS of [`Config::listen`]: `spec/operations.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the server's certificate, then those of its authorities, without the root.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub key_file: Option<PathBuf>,
}

impl TlsConfig {
    /// The files of certificate and key, if TLS is wanted.
    #[must_use]
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.certificate_file.as_deref().zip(self.key_file.as_deref())
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.certificate_file.is_some() == self.key_file.is_some() {
            return Ok(());
        }
        Err(ConfigError::Value("tls.certificate_file and tls.key_file go together".into()))
    }

    /// How addresses of this server begin.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.files().is_some() { "https" } else { "http" }
    }
}

impl Config {
    /// The operator's own address, if [`Config::listen`] does not serve the operator. With TLS it never does: what the whole
    /// world reaches has no such routes.
    #[must_use]
    pub fn admin_listen(&self) -> Option<SocketAddr> {
        self.admin_listen.or_else(|| self.tls.files().map(|_| ADMIN_LISTEN))
    }

    pub(super) fn check_listeners(&self) -> Result<(), ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Value(text.into()));
        self.tls.check()?;
        if !self.listen.ip().is_loopback() && self.tls.files().is_none() && !self.insecure {
            return refuse(
                "listen is not a loopback address and this server speaks plain HTTP: set tls.certificate_file and tls.key_file, listen on 127.0.0.1, or set insecure = true if TLS ends on this same machine in something that never logs or stores bodies (one approve body and a stolen phone's storage give away its PIN)",
            );
        }
        let Some(admin) = self.admin_listen() else { return Ok(()) };
        if !admin.ip().is_loopback() && !self.insecure {
            return refuse(
                "admin_listen is plain HTTP and carries the operator's token and enrolment codes: a loopback address, which you reach through ssh (insecure = true lifts this)",
            );
        }
        if admin == self.listen && admin.port() != 0 {
            return refuse("admin_listen is the address of listen: choose another port, or leave it out");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_loopback() {
        let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::default() };
        assert!(open.check().is_err());
        assert!(Config { insecure: true, ..open.clone() }.check().is_ok());
        let file = Some(PathBuf::from("file.pem"));
        let tls = TlsConfig { certificate_file: file.clone(), key_file: file.clone() };
        assert!(Config { tls, ..open.clone() }.check().is_ok());
        let half = TlsConfig { certificate_file: file, key_file: None };
        assert!(Config { tls: half, ..Config::default() }.check().is_err());
        let operator = Config { admin_listen: Some(open.listen), ..Config::default() };
        assert!(operator.check().is_err());
        assert!(Config { insecure: true, ..operator }.check().is_ok());
        let twice = Config::default();
        assert!(Config { admin_listen: Some(twice.listen), ..twice }.check().is_err());
    }
}
