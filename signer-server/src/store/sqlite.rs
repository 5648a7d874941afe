//! SQLite engine.
