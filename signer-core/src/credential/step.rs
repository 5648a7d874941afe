//! The three-minute step, and how far a code may be from it.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::refusal::ClockFault;
use crate::time::UnixSeconds;

/// How long one code is shown.
pub const STEP_SECONDS: u64 = 180;
/// How much earlier or later than its step a code is still accepted, for clocks that differ.
pub const GRACE_SECONDS: u64 = 30;

/// Number of a step: `floor(unix / 180)`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Step(#[n(0)] pub u64);

impl Step {
    /// The step that holds `now`.
    #[must_use]
    pub const fn at(now: UnixSeconds) -> Self {
        StepRule::STANDARD.step_at(now)
    }

    /// Its first second.
    #[must_use]
    pub const fn start(self) -> UnixSeconds {
        StepRule::STANDARD.start(self)
    }

    /// The first second after it.
    #[must_use]
    pub const fn end(self) -> UnixSeconds {
        StepRule::STANDARD.end(self)
    }

    /// The step after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Length of a step and the grace around it. Everything but a demonstration uses [`StepRule::STANDARD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRule {
    seconds: u64,
    grace: u64,
}

impl StepRule {
    /// 180 seconds, and 30 around them.
    pub const STANDARD: Self = Self { seconds: STEP_SECONDS, grace: GRACE_SECONDS };

    /// Steps of `seconds` (6 to 180) with the same share of grace, so that a demonstration need not wait three minutes.
    #[must_use]
    pub const fn for_demo(seconds: u64) -> Option<Self> {
        if seconds < 6 || seconds > STEP_SECONDS {
            return None;
        }
        Some(Self { seconds, grace: seconds / (STEP_SECONDS / GRACE_SECONDS) })
    }

    /// Length of a step.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// Grace on either side.
    #[must_use]
    pub const fn grace(self) -> u64 {
        self.grace
    }

    /// The step that holds `now`.
    #[must_use]
    pub const fn step_at(self, now: UnixSeconds) -> Step {
        match now.0.checked_div(self.seconds) {
            Some(step) => Step(step),
            None => Step(0),
        }
    }

    /// First second of `step`.
    #[must_use]
    pub const fn start(self, step: Step) -> UnixSeconds {
        UnixSeconds(step.0.saturating_mul(self.seconds))
    }

    /// First second after `step`.
    #[must_use]
    pub const fn end(self, step: Step) -> UnixSeconds {
        self.start(step).plus(self.seconds)
    }

    /// Seconds until the step that holds `now` ends: 1 to the length of a step.
    #[must_use]
    pub const fn seconds_left(self, now: UnixSeconds) -> u64 {
        self.end(self.step_at(now)).0.saturating_sub(now.0)
    }

    /// Whether a code of `step` is accepted at `now`: from the grace before the step to the grace after it.
    ///
    /// # Errors
    /// By how many seconds the code is early (before its step begins) or late (after its last second).
    pub const fn check(self, step: Step, now: UnixSeconds) -> Result<(), ClockFault> {
        let (start, end) = (self.start(step), self.end(step));
        if now.plus(self.grace).0 < start.0 {
            Err(ClockFault::CodeEarly { seconds: now.distance(start) })
        } else if now.0 >= end.plus(self.grace).0 {
            Err(ClockFault::CodeLate { seconds: now.distance(end).saturating_add(1) })
        } else {
            Ok(())
        }
    }
}
