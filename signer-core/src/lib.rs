//! Two-party signatures and rotating document codes: the protocol, without IO, clock or global randomness.
//!
//! A key exists only as two shares, one on the phone (**device**), one on the **server**. In reading order:
//!
//! 1. [`suite`]: what a signature scheme must offer; [`frost`] implements it.
//! 2. [`ceremony`]: enrolment and share refresh, round by round, each round its own type.
//! 3. [`signing`]: fetch, approve, evaluate: who learns what, and in which order.
//! 4. [`pin`]: how a PIN masks the device's share so that only the server can tell a right PIN from a wrong one.
//! 5. [`wire`]: every message between device and server; [`device_key`] signs them; [`approval`] is what the holder agreed to.
//! 6. [`credential`]: the document code that lives three minutes; [`trust`]: whose; [`status`]: unless withdrawn.
//! 7. [`certificate`]: the request a new key signs first, and what its certificate must be.
//! 8. [`wrap`]: how secrets rest in a store.
//! 9. [`history`]: what the holder is told of all this, and the chain that shows when the server takes it back; [`lost_code`].
//! 10. [`audit`]: the log of everything the server did, for those who watch it.
//!
//! Under them: [`codec`] (strict CBOR), [`domain`] (every hash), [`secret`], [`ids`], [`time`].
#![no_std]

extern crate alloc;
#[cfg(all(test, not(feature = "openapi")))]
extern crate std;
// What `derive(ToSchema)` writes names macros of std.
#[cfg(feature = "openapi")]
#[macro_use]
extern crate std;

// Under this name benchmarks and fuzz targets include the tests' set-up.
#[cfg(test)]
extern crate self as signer_core;

pub mod approval;
pub mod audit;
pub mod ceremony;
pub mod certificate;
pub mod codec;
pub mod credential;
pub mod device_key;
pub mod domain;
mod ecdsa;
pub mod es256;
pub mod frost;
pub mod history;
pub mod ids;
pub mod lost_code;
mod openapi;
pub mod pin;
pub mod secret;
pub mod signing;
pub mod status;
pub mod suite;
pub mod time;
pub mod trust;
pub mod wire;
pub mod wrap;
