//! The document code that lives three minutes.
