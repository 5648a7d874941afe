//! Client.

pub mod draw;
