//! The check of a verifier without network: the code, then what its lists say.

use super::{
    refusal::Refusal,
    result::{Known, VerificationResult},
    verify::{Verified, VerifyOptions, verify},
};
use crate::{status::StatusLists, trust::TrustList};

/// Checks a code under the trust list and the status lists. The trust list gives the life, and both raise the clock floor
/// of `options`. What was accepted before is the caller's to remember, by [`Verified::once`].
#[must_use = "the result is what the clerk is told"]
pub fn verify_offline(
    text: &str,
    trust: &TrustList,
    statuses: &StatusLists,
    options: &VerifyOptions,
) -> (VerificationResult, Result<Verified, Refusal>) {
    let now = options.now;
    let clock_floor = options.clock_floor.max(trust.issued()).max(statuses.clock_floor());
    let options = VerifyOptions { life: trust.life(), clock_floor, ..*options };
    let checked = verify(text, &trust.issuer_keys(), &options)
        .and_then(|verified| Ok((statuses.withdrawals(&verified, now)?, verified)));
    match checked {
        Ok((withdrawals, verified)) => {
            let known = Known { withdrawals, trust_list_old: trust.is_old(now) };
            let outcome = Ok(verified);
            (VerificationResult::offline(&outcome, known, now), outcome)
        }
        Err(refusal) => (VerificationResult::offline(&Err(refusal), Known::NOTHING, now), Err(refusal)),
    }
}
