//! How callers prove who they are.

use serde_json::{Value, json};

/// The security schemes. The roles beside `relying_party` are the rights it is registered with.
pub(super) fn schemes() -> Value {
    json!({
        "relying_party": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token of a relying party, shown once at its registration. What it may do is its role: \
                `ask` for signatures, `verify` codes, `report` as a register, `generate` codes.",
        },
        "oauth2": {
            "type": "oauth2",
            "description": "An access token of a relying party, by `private_key_jwt` (ES256), from `/oauth2/token` of this server.",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "https://signer.example/oauth2/token",
                    "scopes": { "service": "All that the relying party may do." },
                },
            },
        },
        "client_basic": {
            "type": "http",
            "scheme": "basic",
            "description": "`client_id` and secret, in a sandbox. Otherwise the client proves itself in the form, by \
                `client_assertion`.",
        },
        "admin": {
            "type": "http",
            "scheme": "bearer",
            "description": "The operator's token: the file `admin-token` in the data folder.",
        },
    })
}
