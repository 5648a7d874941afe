//! The device's part of one signature by the formulas of the specification, every value in the open, every choice free.

use p256::{ProjectivePoint, Scalar, elliptic_curve::point::AffineCoordinates};

use super::*;

/// Where the fields of a contribution begin.
pub(super) const SALT: usize = 65;
pub(super) const PAD_NONCE: usize = 97;
pub(super) const V: usize = 129;

/// Where correction `j` begins.
pub(super) fn correction(j: usize) -> usize {
    161 + 32 * j
}

/// 2ʲ.
pub(super) fn power(j: usize) -> Scalar {
    (0..j).fold(Scalar::ONE, |power, _| power.double())
}

/// A scalar from the generator.
pub(super) fn random(rng: &mut StdRng) -> Scalar {
    scalars::wide(SecretBytes::<64>::random(rng).expose())
}

/// x of k·P modulo q.
pub(super) fn x_of(point: ProjectivePoint) -> Scalar {
    scalars::reduced(&point.to_affine().x().into())
}

/// All that a device computes for one signature.
pub(super) struct ByHand {
    pub(super) k1: Scalar,
    pub(super) r1: [u8; 65],
    pub(super) salt: [u8; 32],
    pub(super) pad_nonce: [u8; 32],
    pub(super) session: [u8; 32],
    pub(super) e: Scalar,
    pub(super) r: Scalar,
    pub(super) a: Scalar,
    pub(super) m: Scalar,
    pub(super) share: Scalar,
    pub(super) tweak: pads::Tweak,
    /// P⁰ⱼ, P¹ⱼ.
    pub(super) pads: Vec<[Scalar; 2]>,
}

impl ByHand {
    /// From the device's nonce, for the commitments given.
    pub(super) fn new(
        world: &World,
        context: &SigningContext<'_>,
        nonce: &DeviceNonce,
        (device, server): (&Commitment, &Commitment),
    ) -> Self {
        let bytes = nonce.bytes();
        let k1 = scalars::canonical(&bytes[..32]).unwrap();
        let r1: [u8; 65] = bytes[32..97].try_into().unwrap();
        let (salt, pad_nonce) = (bytes[97..129].try_into().unwrap(), bytes[129..].try_into().unwrap());
        let r2 = &server.as_slice()[..65];
        let session = transcript::session(context, device, r2);
        let e = transcript::shift(&session, &r1);
        let r2 = points::from_uncompressed(r2).unwrap();
        let tweak = transcript::tweak(&session, &pad_nonce);
        let seeds = pads::seeds(&world.seed, &context.key);
        let pads = seeds.iter().map(|pair| pair.each_ref().map(|seed| *pads::pad_plain(seed, &tweak)));
        Self {
            k1,
            r1,
            salt,
            pad_nonce,
            session,
            e,
            r: x_of((r2 + ProjectivePoint::GENERATOR * e) * k1),
            a: k1.invert().unwrap(),
            m: scalars::reduced(context.digest),
            share: scalars::canonical(world.device.0.expose()).unwrap(),
            tweak,
            pads: pads.collect(),
        }
    }

    /// A fresh nonce of `world`, both commitments, and what follows from them.
    pub(super) fn fresh(world: &mut World, context: &SigningContext<'_>) -> (Self, Commitment, Commitment) {
        let (nonce, device, server) = world.commit(context);
        let hand = Self::new(world, context, &nonce, (&device, &server));
        (hand, device, server)
    }

    /// α = Σ 2ʲ·P⁰ⱼ.
    pub(super) fn alpha(&self) -> Scalar {
        self.pads.iter().rev().fold(Scalar::ZERO, |sum, [zero, _]| sum.double() + zero)
    }

    /// v = a·(m + r·x_D) + r·α.
    pub(super) fn v(&self) -> Scalar {
        self.a * (self.m + self.r * self.share) + self.r * self.alpha()
    }

    /// P⁰ⱼ − P¹ⱼ − aⱼ, where an honest device has one a for all j.
    pub(super) fn corrections(&self, a: impl Fn(usize) -> Scalar) -> Vec<Scalar> {
        self.pads.iter().enumerate().map(|(j, [zero, one])| *zero - one - a(j)).collect()
    }

    /// The contribution's bytes.
    pub(super) fn contribution(&self, v: Scalar, corrections: &[Scalar]) -> Contribution {
        let mut bytes = [&self.r1[..], &self.salt, &self.pad_nonce, &scalars::bytes(&v)].concat();
        corrections.iter().for_each(|one| bytes.extend_from_slice(&scalars::bytes(one)));
        Contribution::new(bytes).unwrap()
    }

    /// What an honest device sends.
    pub(super) fn honest(&self) -> Contribution {
        self.contribution(self.v(), &self.corrections(|_| self.a))
    }
}

#[test]
fn e25_002_the_device_computes_the_formulas_of_the_specification() {
    for number in 0..2 {
        let mut world = World::new(number);
        let context = world.context();
        let (nonce, device, server) = world.commit(&context);
        let hand = ByHand::new(&world, &context, &nonce, (&device, &server));
        let commitments = Commitments { device: &device, server: &server };
        assert_eq!(hand.honest(), world.part(&context, nonce, commitments).unwrap());
    }
}
