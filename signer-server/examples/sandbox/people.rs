//! The people, and what their phones do with a request.

use serde::Serialize;

/// A person by what their phone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Habit {
    /// Signs.
    Approves,
    /// Says no.
    Declines,
    /// Does nothing.
    Ignores,
    /// Types a wrong PIN first, then the right one.
    Mistypes,
    /// Is locked after wrong PINs, and does nothing.
    Locked,
    /// Chooses a wrong verification code; signs what has none.
    MistakesCode,
    /// Does what the endpoint says.
    Obeys,
}

impl Habit {
    pub(crate) const ALL: [Self; 7] = [
        Self::Approves,
        Self::Declines,
        Self::Ignores,
        Self::Mistypes,
        Self::Locked,
        Self::MistakesCode,
        Self::Obeys,
    ];

    /// The person's reference, as relying parties address them.
    pub(crate) const fn person(self) -> &'static str {
        match self {
            Self::Approves => "sandbox-approves",
            Self::Declines => "sandbox-declines",
            Self::Ignores => "sandbox-ignores",
            Self::Mistypes => "sandbox-mistypes",
            Self::Locked => "sandbox-locked",
            Self::MistakesCode => "sandbox-mistakes-code",
            Self::Obeys => "sandbox-obeys",
        }
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Approves => "signs everything at once",
            Self::Declines => "declines everything",
            Self::Ignores => "never answers: requests expire",
            Self::Mistypes => "types a wrong PIN, then the right one: signed",
            Self::Locked => "is locked after wrong PINs: requests expire",
            Self::MistakesCode => "chooses a wrong verification code: wrong_code",
            Self::Obeys => "does what the endpoint is told",
        }
    }
}

/// What the endpoint can have a phone do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// Sign the open requests.
    Approve,
    /// Decline them.
    Decline,
    /// Type a wrong PIN for the oldest.
    WrongPin,
    /// Choose a wrong verification code for the oldest.
    WrongCode,
}
