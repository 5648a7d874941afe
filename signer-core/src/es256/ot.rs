//! 256 oblivious transfers: the server gets the seed that its bit chooses, and the device does not learn the bit.
//!
//! Masny, Rindal, *Endemic Oblivious Transfer* (CCS 2019), one round from Diffie-Hellman, figure 8. For each bit c, the server
//! sends two points that look alike, r_{1−c} at random and r_c = a·G − H(c, r_{1−c}). The device answers with B = b·G and
//! each seed under a pad made of b·(r_i + H(i, r_{1−i})). The server knows the logarithm of one of them, a. To know both
//! it would need that of a point of the random oracle.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of the field and the curve, which has no overflow"
)]

use alloc::vec::Vec;
use core::fmt;

use hash2curve::GroupDigest;
use p256::{AffinePoint, NistP256, ProjectivePoint, Scalar, elliptic_curve::BatchNormalize};
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use super::{
    BITS,
    material::Material,
    pads::{Seed, SeedPairs},
    points::{self, Compressed},
    scalars,
};
use crate::{
    domain::{Domain, Hasher},
    suite::{KeygenMessage, ServerSeeding, ServerShare, SuiteError},
};

/// Both points of each transfer.
const QUESTION_BYTES: usize = BITS * 2 * 33;
/// B and both encrypted seeds of each transfer.
const ANSWER_BYTES: usize = BITS * (33 + 2 * 32);

/// Number of a transfer, and of one of its two messages.
type Place = (u8, u8);

/// H: a point whose logarithm nobody knows (RFC 9380 §3, `P256_XMD:SHA-256_SSWU_RO_`).
fn point_of(session: &[u8; 32], (transfer, message): Place, of: &Compressed) -> Option<ProjectivePoint> {
    let label = Domain::Es256OtPoint.label().as_bytes();
    NistP256::hash_from_bytes(&[session, &[transfer, message], of], &[label]).ok()
}

/// The pad of one seed.
fn pad(
    session: &[u8; 32],
    (transfer, message): Place,
    points: [&Compressed; 3],
    x: &[u8; 32],
) -> Zeroizing<Seed> {
    let hash = Hasher::new(Domain::Es256OtPad).field(session).number(transfer.into()).number(message.into());
    let hash = points.into_iter().fold(hash, |hash, point| hash.field(point)).field(x);
    Zeroizing::new(hash.finish())
}

fn xor(to: &mut Seed, with: &Seed) {
    to.iter_mut().zip(with).for_each(|(to, with)| *to ^= with);
}

/// The server, waiting for the device's answer.
pub(super) struct ServerReceiver {
    material: Material,
    session: [u8; 32],
    exponents: Zeroizing<Vec<Scalar>>,
    question: Vec<[Compressed; 2]>,
}

impl fmt::Debug for ServerReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerReceiver(redacted)")
    }
}

impl ServerReceiver {
    /// Asks for the seeds of the share's bits, without telling the bits.
    pub(super) fn ask(
        material: Material,
        session: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, KeygenMessage), SuiteError> {
        let choices = material.choices();
        // Bound to the share: two shares asked for with one state of the generator would show where their bits differ.
        let mut draw = || scalars::hedged(rng, Domain::Es256OtExponent, &[material.share.expose(), session]);
        let exponents: Zeroizing<Vec<Scalar>> = Zeroizing::new((0..BITS).map(|_| *draw()).collect());
        let mut ask = || -> Option<Vec<[Compressed; 2]>> {
            let random: Option<Vec<_>> = (0..BITS).map(|_| public_point(&draw())).collect();
            let random = random?;
            let mut other = Vec::with_capacity(BITS);
            for (((transfer, a), mask), random) in (0..=u8::MAX).zip(&*exponents).zip(&*choices).zip(&random)
            {
                let own = points::from_uncompressed(&points::base_multiple(a)?)?;
                other.push(own - point_of(session, (transfer, bit(*mask)), random)?);
            }
            let other = ProjectivePoint::batch_normalize(other.as_slice());
            let pairs = other.iter().zip(&random).zip(&*choices);
            pairs
                .map(|((other, random), mask)| Some(ordered(&points::compressed(other)?, random, *mask)))
                .collect()
        };
        let question = ask().ok_or(SuiteError::OwnMaterial)?;
        let message = question.as_flattened().as_flattened().to_vec();
        let message = KeygenMessage::new(message).ok_or(SuiteError::OwnMaterial)?;
        Ok((Self { material, session: *session, exponents, question }, message))
    }

    /// The seed that bit `transfer` chooses.
    fn seed(
        &self,
        transfer: u8,
        a: &Scalar,
        mask: u64,
        pair: &[Compressed; 2],
        answer: &[u8; 97],
    ) -> Option<Seed> {
        let (point, encrypted) = answer.split_first_chunk::<33>()?;
        let (encrypted, _) = encrypted.as_chunks::<32>();
        let [zero, one] = encrypted else { return None };
        let x = Zeroizing::new(points::multiple_x(a, &points::lengthened(point)?)?);
        let [first, second] = pair;
        let choice = Choice::from(bit(mask));
        let mut seed = *zero;
        seed.iter_mut().zip(one).for_each(|(to, one)| to.conditional_assign(one, choice));
        xor(&mut seed, &pad(&self.session, (transfer, bit(mask)), [first, second, point], &x));
        Some(seed)
    }
}

impl ServerSeeding for ServerReceiver {
    fn finish(self: alloc::boxed::Box<Self>, seeds: &KeygenMessage) -> Result<ServerShare, SuiteError> {
        if seeds.as_slice().len() != ANSWER_BYTES {
            return Err(SuiteError::Peer);
        }
        let choices = self.material.choices();
        let (answers, _) = seeds.as_slice().as_chunks::<97>();
        let all = (0..=u8::MAX).zip(&*self.exponents).zip(&*choices).zip(&self.question).zip(answers);
        // Every transfer is computed, so that the time does not tell which one is malformed.
        let found: Zeroizing<Vec<Option<Seed>>> = Zeroizing::new(
            all.map(|((((transfer, a), mask), pair), answer)| self.seed(transfer, a, *mask, pair, answer))
                .collect(),
        );
        let mut seeds = Zeroizing::new(Vec::with_capacity(BITS));
        for seed in found.iter() {
            seeds.push(seed.ok_or(SuiteError::Peer)?);
        }
        Ok(self.material.seeded(seeds).encode())
    }
}

/// All ones or all zeros, as 1 or 0.
const fn bit(mask: u64) -> u8 {
    let [low, ..] = mask.to_le_bytes();
    low & 1
}

fn public_point(exponent: &Scalar) -> Option<Compressed> {
    points::base_multiple(exponent).map(|point| points::shortened(&point))
}

/// `[random, own]` where the mask is all ones, `[own, random]` where it is all zeros.
fn ordered(own: &Compressed, random: &Compressed, mask: u64) -> [Compressed; 2] {
    let (mut first, mut second) = (*own, *random);
    let choice = Choice::from(bit(mask));
    first.iter_mut().zip(&mut second).for_each(|(one, other)| u8::conditional_swap(one, other, choice));
    [first, second]
}

/// The device's answer: both seeds of each transfer, each under its pad.
pub(super) fn answer(
    seeds: &SeedPairs,
    session: &[u8; 32],
    question: &KeygenMessage,
    rng: &mut dyn CryptoRng,
) -> Result<KeygenMessage, SuiteError> {
    if question.as_slice().len() != QUESTION_BYTES {
        return Err(SuiteError::Peer);
    }
    let (points, _) = question.as_slice().as_chunks::<33>();
    let (pairs, _) = points.as_chunks::<2>();
    let mut message = Vec::with_capacity(ANSWER_BYTES);
    for ((transfer, [first, second]), seeds) in (0..=u8::MAX).zip(pairs).zip(&**seeds) {
        let [zero, one] = seeds;
        let exponent = scalars::hedged(rng, Domain::Es256OtExponent, &[zero, one, session]);
        let own = public_point(&exponent).ok_or(SuiteError::OwnMaterial)?;
        message.extend_from_slice(&own);
        for ((number, (of, with)), seed) in (0..).zip([(first, second), (second, first)]).zip(seeds) {
            let place = (transfer, number);
            let sum = combined(session, place, of, with).ok_or(SuiteError::Peer)?;
            let x = points::multiple_x(&exponent, &sum).map(Zeroizing::new).ok_or(SuiteError::Peer)?;
            let mut encrypted = *pad(session, place, [first, second, &own], &x);
            xor(&mut encrypted, seed);
            message.extend_from_slice(&encrypted);
        }
    }
    KeygenMessage::new(message).ok_or(SuiteError::OwnMaterial)
}

/// r_i + H(i, r_{1−i}), unless it is the identity.
fn combined(
    session: &[u8; 32],
    place: Place,
    of: &Compressed,
    with: &Compressed,
) -> Option<points::Uncompressed> {
    points::from_compressed(with)?;
    let sum: AffinePoint = (points::from_compressed(of)? + point_of(session, place, with)?).to_affine();
    points::uncompressed(&sum.into())
}
