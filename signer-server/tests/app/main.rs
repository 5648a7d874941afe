//! Whole-application tests: the real server on a free port, real HTTP, real phones, and a clock that is set by hand.
//!
//! Requirement ids: `spec/notes-app.md`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod at_rest;
mod audit;
mod backup;
mod bound;
mod certificates;
mod clone;
mod code;
mod colluding;
mod csc;
mod csc_again;
mod doctor;
#[cfg(unix)]
mod dump;
mod enrolled;
mod events;
#[cfg(unix)]
mod faults;
mod fleets;
mod forge;
mod harness;
mod history;
mod hostile;
#[cfg(unix)]
mod hsm;
mod keks;
mod limits;
mod load;
mod lookups;
mod lost;
mod metrics;
mod nodes;
mod oauth;
mod online;
mod openapi;
mod p99;
mod pdf;
mod pin;
mod postgres;
mod postgres_tls;
mod race;
mod rates;
mod refusals;
mod register;
mod relying_party;
mod restore;
#[cfg(unix)]
mod restore_postgres;
mod screen;
mod secrets;
mod sessions;
mod sign_in;
mod suites;
mod three_codes;
mod tls;
#[cfg(feature = "otel")]
mod traces;
mod trust;
mod unlinkable;
mod vault;
mod verify;
mod web;
mod webhooks;
