//! A device's nonce is gone after one contribution.
use signer_core::suite::{Commitments, DeviceNonce, DevicePart, SigningContext, Suite};

fn sign(
    suite: &dyn Suite,
    part: DevicePart<'_>,
    nonce: DeviceNonce,
    context: &SigningContext<'_>,
    commitments: Commitments<'_>,
) {
    let _ = suite.contribute(part, nonce, context, commitments);
    let _ = suite.contribute(part, nonce, context, commitments);
}

fn main() {}
