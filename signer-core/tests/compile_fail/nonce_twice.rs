//! A device's nonce is gone after one contribution.
use rand_core::CryptoRng;
use signer_core::suite::{Commitment, DeviceNonce, DeviceShare, SigningContext, Suite};

fn sign(
    suite: &dyn Suite,
    share: &DeviceShare,
    nonce: DeviceNonce,
    context: &SigningContext<'_>,
    (device, server): (&Commitment, &Commitment),
    rng: &mut dyn CryptoRng,
) {
    let _ = suite.contribute(share, nonce, context, device, server, rng);
    let _ = suite.contribute(share, nonce, context, device, server, rng);
}

fn main() {}
