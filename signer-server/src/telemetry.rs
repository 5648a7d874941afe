//! Structured logs. What is logged: ids, codes of outcomes, durations. Never: PINs, tokens, codes, shares, bodies, names.

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Installs the subscriber; a second call does nothing.
///
/// # Errors
/// The text of a filter that does not parse.
pub(crate) fn init(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| format!("log: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already_set = match config.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
