//! What the holder agreed to show.

use signer_core::wire::Profile;

/// What a show is of, with the holder's agreement to it. Age and minimal need none but the show itself; the full document needs
/// a word for this show, so that a value is used up by [`crate::Phone::start_show`] and cannot be copied.
///
/// The third way to the full document, approving what a verifier asks while a code is open, needs no show of it: the
/// server answers that verifier alone ([`crate::Phone::answer_check`]).
#[derive(Debug)]
pub struct Showing {
    profile: Profile,
}

impl Showing {
    /// Age only.
    #[must_use]
    pub const fn age() -> Self {
        Self { profile: Profile::Age }
    }

    /// Minimal.
    #[must_use]
    pub const fn minimal() -> Self {
        Self { profile: Profile::Minimal }
    }

    /// Any profile, full too. To be called after the holder said "show to whoever scans", for each show.
    #[must_use]
    pub const fn to_whoever_scans(profile: Profile) -> Self {
        Self { profile }
    }

    /// What is shown.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }
}
