//! The token that holds keys.

use super::Finding;
use crate::{config::Config, hsm::Token, metrics::HsmMetrics};

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let token = match Token::open(&config.hsm, &config.data_dir, HsmMetrics::default()) {
        Ok(None) => return Vec::new(),
        Ok(Some(token)) => token,
        Err(error) => return vec![Finding::bad("hsm", error.to_string(), "allow this user another thread")],
    };
    let found = match token.check().await {
        Ok(()) => Finding::good("hsm", format!("the token {:?} took the PIN and works", config.hsm.token)),
        Err(error) => {
            let fix =
                "hsm.module, hsm.token and hsm.pin_file; the token's own tools, as the user of the server";
            Finding::bad("hsm", error.to_string(), fix)
        }
    };
    vec![found]
}
