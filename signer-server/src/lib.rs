//! The server's half of split-key signatures, and the issuer and verifier of three-minute codes.
//!
//! In reading order: [`app`] builds everything from a [`config`]; `http` parses and maps; [`service`] decides; [`store`] keeps.

pub mod app;
pub mod ca;
pub mod cli;
pub mod config;
mod doctor;
pub mod hsm;
mod http;
pub mod metrics;
mod outbound;
pub mod ports;
mod process;
pub mod registers;
pub mod service;
pub mod store;
mod telemetry;
mod traces;
mod webhooks;
pub mod wrap;
