//! The server's two steps of a signature: a derived nonce, and the finish.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of the field and the curve, which has no overflow"
)]

use p256::Scalar;
use zeroize::Zeroizing;

use super::{
    material::{self, AtRest},
    pads::{self, Pads, Sum},
    points, proof, scalars,
    transcript::{self, ContributionParts, ServerCommitmentParts},
};
use crate::{
    domain::Domain,
    ecdsa::{verify, verify_plain},
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, Contribution, FinishError, ServerShare, Signature, SigningContext,
        SuiteError,
    },
};

/// k₂: every field that enters the transcript before the nonce is in the seed. The share is mixed in too, so that two
/// shares never have one nonce, not even when a server restored from a snapshot draws its nonce key a second time.
fn nonce(seed: &SecretBytes<32>, share: &[u8; 32]) -> Zeroizing<Scalar> {
    scalars::derived(seed.expose(), Domain::Es256ServerNonce, &[share])
}

/// R₂ = k₂·G and the proof that k₂ is known. To whoever has not the nonce key, they do not depend on the share.
pub(super) fn commit(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    device: &Commitment,
) -> Result<Commitment, SuiteError> {
    if device.as_slice().len() != 32 || scalars::of_digest(context.digest).is_none() {
        return Err(SuiteError::Peer);
    }
    let seed = context.nonce_seed(nonce_key, device);
    let k2 = nonce(&seed, material::share_of(share)?);
    let r2 = points::base_multiple(&k2).ok_or(SuiteError::OwnMaterial)?;
    let session = transcript::session(context, device, &r2);
    let t = scalars::derived(seed.expose(), Domain::Es256ProofNonce, &[&session]);
    let proof = proof::prove(&k2, &r2, &session, &t).ok_or(SuiteError::OwnMaterial)?;
    Commitment::new([&r2[..], &proof].concat()).ok_or(SuiteError::OwnMaterial)
}

/// Completes and verifies.
pub(super) fn complete(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    commitments: Commitments<'_>,
    contribution: &Contribution,
) -> Result<Option<Signature>, FinishError> {
    let material = AtRest::read(share).map_err(|_| FinishError::ServerFault)?;
    let Some(attempt) = Attempt::new(&material, nonce_key, context, commitments, contribution)? else {
        return Ok(None);
    };
    // Computed in any case: the time does not tell whether the opening was right.
    let signature = attempt.complete(&FAST)?.filter(|_| attempt.opened);
    Ok(signature.and_then(|signature| Signature::new(signature.to_vec())))
}

/// Before anybody is blamed, everything is computed again by the plainest means there are.
pub(super) fn judge(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    commitments: Commitments<'_>,
    contribution: &Contribution,
) -> FinishError {
    let judged = || {
        let material = AtRest::read(share).map_err(|_| FinishError::ServerFault)?;
        let Some(attempt) = Attempt::new(&material, nonce_key, context, commitments, contribution)? else {
            return Ok(FinishError::Cheating);
        };
        let ours = points::base_multiple_plain(&attempt.k2).is_some_and(|point| point == attempt.r2);
        let again = attempt.complete(&PLAIN)?.filter(|_| attempt.opened);
        let fault = !ours || again.is_some();
        Ok(if fault { FinishError::ServerFault } else { FinishError::Cheating })
    };
    judged().unwrap_or_else(|fault| fault)
}

/// One of two implementations of what the finish is made of.
struct Means {
    multiple_x: fn(&Scalar, &points::Uncompressed) -> Option<[u8; 32]>,
    beta: fn(&Attempt<'_>) -> Zeroizing<Scalar>,
    verify: fn(&[u8], &[u8; 32], &[u8; 64]) -> bool,
}

/// What every signature goes through.
const FAST: Means = Means { multiple_x: points::multiple_x, beta: |attempt| attempt.beta(), verify };
/// The same by `p256` alone, and without lazy reduction.
const PLAIN: Means = Means {
    multiple_x: points::multiple_x_plain,
    beta: |attempt| attempt.beta_plain(),
    verify: verify_plain,
};

struct Attempt<'a> {
    material: &'a AtRest<'a>,
    seeds: &'a [pads::Seed],
    context: &'a SigningContext<'a>,
    session: [u8; 32],
    k2: Zeroizing<Scalar>,
    r2: &'a [u8],
    device: ContributionParts<'a>,
    /// Whether the contribution opens the device's commitment.
    opened: bool,
}

impl<'a> Attempt<'a> {
    /// `None` if the contribution is malformed. Everything else that does not fit is the server's.
    fn new(
        material: &'a AtRest<'a>,
        nonce_key: &SecretBytes<32>,
        context: &'a SigningContext<'a>,
        commitments: Commitments<'a>,
        contribution: &'a Contribution,
    ) -> Result<Option<Self>, FinishError> {
        let seeds = material.seeds_for(&context.public_key).ok_or(FinishError::ServerFault)?;
        let server = ServerCommitmentParts::read(commitments.server).ok_or(FinishError::ServerFault)?;
        let Some(device) = ContributionParts::read(contribution.as_slice()) else { return Ok(None) };
        let opened = transcript::commitment(device.r1, device.salt) == commitments.device.as_slice();
        let session = transcript::session(context, commitments.device, server.r2);
        let k2 = nonce(&context.nonce_seed(nonce_key, commitments.device), material.share);
        Ok(Some(Self { material, seeds, context, session, k2, r2: server.r2, device, opened }))
    }

    /// The signature if it verifies, low s. That k or r is 0 is nobody's fault, and happens with a probability of about
    /// 2⁻²⁵⁶. That s is 0 a device can bring about, by corrections for a = 0: it is a signature that does not verify.
    fn complete(&self, means: &Means) -> Result<Option<[u8; 64]>, FinishError> {
        let k = Zeroizing::new(*self.k2 + transcript::shift(&self.session, self.device.r1));
        let inverse = scalars::inverse(&k).ok_or(FinishError::ServerFault)?;
        let x = (means.multiple_x)(&k, self.device.r1).ok_or(FinishError::ServerFault)?;
        let r = scalars::reduced(&x);
        let s = *inverse * (self.device.v + r * *(means.beta)(self));
        if scalars::is_zero(&r) {
            return Err(FinishError::ServerFault);
        }
        let mut signature = [0; 64];
        let parts = [scalars::bytes(&r), scalars::bytes(&scalars::low_s(&s))];
        signature.iter_mut().zip(parts.as_flattened()).for_each(|(to, from)| *to = *from);
        let valid = (means.verify)(self.material.public_key, self.context.digest, &signature);
        Ok(valid.then_some(signature))
    }

    /// β = −Σ 2ʲ·(P + cⱼ·uⱼ), P the pad of the seed that cⱼ chose: with the device's α it makes a·x_S.
    fn beta(&self) -> Zeroizing<Scalar> {
        let mut pads = Pads::new(&transcript::tweak(&self.session, self.device.pad_nonce));
        let mut sum = Sum::new();
        let choices = material::choices(self.material.share);
        for ((seed, choice), correction) in
            self.seeds.iter().zip(choices.iter()).zip(self.device.corrections).rev()
        {
            sum.term(&pads.pad(seed), *choice, correction);
        }
        Zeroizing::new(-*sum.finish())
    }

    /// The same term by term, each reduced, with pads from the hash function's ordinary interface.
    fn beta_plain(&self) -> Zeroizing<Scalar> {
        let tweak = transcript::tweak(&self.session, self.device.pad_nonce);
        let mut sum = Zeroizing::new(Scalar::ZERO);
        let mut power = Scalar::ONE;
        let choices = material::choices(self.material.share);
        for ((seed, choice), correction) in self.seeds.iter().zip(choices.iter()).zip(self.device.corrections)
        {
            let chosen = Zeroizing::new(Scalar::from(choice & 1) * scalars::reduced(correction));
            *sum += power * (*pads::pad_plain(seed, &tweak) + *chosen);
            power = power.double();
        }
        Zeroizing::new(-*sum)
    }
}

#[cfg(test)]
#[path = "tests/beta.rs"]
mod tests;
