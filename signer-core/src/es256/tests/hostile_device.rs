//! A device that sends what it should not: every field flipped, replaced, replayed, swapped.

use super::{
    by_hand::{ByHand, PAD_NONCE, SALT, V, correction},
    nonces::others,
    *,
};

/// What the server makes of a contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// Refused before an attempt is counted.
    Malformed,
    Cheating,
    Signed,
}

/// Syntax, then the finish, as the server calls them. Whatever signature comes out is one for this context.
pub(super) fn judged(world: &World, context: &SigningContext<'_>, messages: &Messages) -> Judged {
    if Es256.check_syntax(&messages.0, &messages.2).is_err() {
        assert!(world.finish(context, messages).is_err());
        return Judged::Malformed;
    }
    match world.finish(context, messages) {
        Ok(signature) => {
            assert!(Es256.verify(&context.public_key, context.digest, &signature));
            Judged::Signed
        }
        Err(FinishError::Cheating) => Judged::Cheating,
        Err(FinishError::ServerFault) => panic!("the server takes the blame"),
    }
}

/// A world, one honest exchange, and what is made of it when the contribution is `edited`.
struct Exchange {
    world: World,
    honest: Messages,
}

impl Exchange {
    fn new(number: u64) -> Self {
        let mut world = World::new(number);
        let context = world.context();
        let honest = world.contribute(&context);
        assert_eq!(judged(&world, &context, &honest), Judged::Signed);
        Self { world, honest }
    }

    fn bytes(&self) -> &[u8] {
        self.honest.2.as_slice()
    }

    fn judged(&self, edited: Vec<u8>) -> Judged {
        let (device, server, _) = &self.honest;
        let messages = (device.clone(), server.clone(), Contribution::new(edited).unwrap());
        judged(&self.world, &self.world.context(), &messages)
    }

    fn with(&self, at: usize, new: &[u8]) -> Judged {
        self.judged(with(self.bytes(), at, new))
    }
}

#[test]
fn e25_020_no_byte_before_the_corrections_may_differ() {
    let exchange = Exchange::new(20);
    for at in 0..correction(0) {
        for mask in [1, 0x10, 0x80, 0xff] {
            let judged = exchange.judged(flipped(exchange.bytes(), at, mask));
            match at {
                0..SALT => assert_eq!(judged, Judged::Malformed, "R₁, byte {at}"),
                SALT..V => assert_eq!(judged, Judged::Cheating, "salt or pad nonce, byte {at}"),
                _ => assert_ne!(judged, Judged::Signed, "v, byte {at}"),
            }
        }
    }
}

#[test]
fn e25_021_a_flipped_correction_passes_exactly_where_the_servers_bit_is_0() {
    let mut exchange = Exchange::new(21);
    let mut seen = [0, 0];
    for j in 0..BITS {
        let mut random = [0; 2];
        rand::Rng::fill_bytes(&mut exchange.world.rng, &mut random);
        let at = correction(j) + usize::from(random[0]) % 32;
        let edited = flipped(exchange.bytes(), at, 1 << (random[1] % 8));
        let canonical = scalars::canonical(&edited[correction(j)..correction(j + 1)]).is_some();
        let expected = match (canonical, exchange.world.bit(j)) {
            (false, _) => Judged::Malformed,
            (true, false) => Judged::Signed,
            (true, true) => Judged::Cheating,
        };
        assert_eq!(exchange.judged(edited), expected, "correction {j}");
        seen[usize::from(exchange.world.bit(j))] += 1;
    }
    assert!(seen[0] > 64 && seen[1] > 64, "{seen:?}");
}

#[test]
fn e25_022_extreme_numbers_are_out_of_range_or_wrong() {
    let exchange = Exchange::new(22);
    let less_one = flipped(&ORDER, 31, 1);
    for at in [SALT, PAD_NONCE] {
        for value in [&[0; 32][..], &ORDER, &less_one, &[0xff; 32]] {
            assert_eq!(exchange.with(at, value), Judged::Cheating);
        }
    }
    for value in [&ORDER[..], &[0xff; 32]] {
        assert_eq!(exchange.with(V, value), Judged::Malformed);
        for j in 0..BITS {
            assert_eq!(exchange.with(correction(j), value), Judged::Malformed);
        }
    }
    for value in [&[0; 32][..], &less_one] {
        assert_eq!(exchange.with(V, value), Judged::Cheating);
        for j in (0..BITS).step_by(7) {
            let expected = if exchange.world.bit(j) { Judged::Cheating } else { Judged::Signed };
            assert_eq!(exchange.with(correction(j), value), expected);
        }
        assert_eq!(exchange.with(correction(0), &value.repeat(BITS)), Judged::Cheating);
    }
}

#[test]
fn e25_023_only_the_committed_point_in_uncompressed_form_opens_the_commitment() {
    let exchange = Exchange::new(23);
    let r1: [u8; 65] = exchange.bytes()[..65].try_into().unwrap();
    let point = points::from_uncompressed(&r1).unwrap();
    let compressed = points::compressed(&point.to_affine()).unwrap();
    let parity = r1[64] & 1;
    let mut malformed = Vec::from([[0; 65], [0xff; 65]]);
    // Every other form byte: identity, compressed, compact, both hybrid forms that some libraries take.
    malformed.extend((0..=u8::MAX).filter(|form| *form != 4).map(|form| {
        let mut bytes = r1;
        bytes[0] = form;
        bytes
    }));
    malformed.push(with(&[0; 65], 0, &compressed).try_into().unwrap());
    malformed.push(with(&r1, 0, &[6 + parity]).try_into().unwrap());
    // Coordinates out of range, and (x, 0) and (0, y), which are no points of the curve.
    malformed.push(with(&r1, 1, &[0xff; 32]).try_into().unwrap());
    malformed.push(with(&r1, 33, &[0xff; 32]).try_into().unwrap());
    malformed.push(with(&r1, 1, &[0; 32]).try_into().unwrap());
    malformed.push(with(&r1, 33, &[0; 32]).try_into().unwrap());
    for bytes in malformed {
        assert_eq!(exchange.with(0, &bytes), Judged::Malformed, "{bytes:02x?}");
    }
    // Points of the curve, but not the one committed to.
    let generator = points::base_multiple_plain(&p256::Scalar::ONE).unwrap();
    for other in
        [points::uncompressed(&-point).unwrap(), points::uncompressed(&(point + point)).unwrap(), generator]
    {
        assert_eq!(exchange.with(0, &other), Judged::Cheating);
    }
}

#[test]
fn e25_024_a_contribution_of_another_length_is_malformed() {
    let exchange = Exchange::new(24);
    let bytes = exchange.bytes();
    let point = points::from_uncompressed(&bytes[..65]).unwrap();
    let compressed = points::compressed(&point.to_affine()).unwrap();
    let others = [
        Vec::new(),
        bytes[..bytes.len() - 1].to_vec(),
        [bytes, &[0]].concat(),
        [&compressed[..], &bytes[65..]].concat(),
        [&[0][..], &bytes[65..]].concat(),
        bytes[..correction(0)].to_vec(),
        bytes[..correction(BITS - 1)].to_vec(),
        bytes[..65].to_vec(),
    ];
    for other in others {
        assert_eq!(exchange.judged(other), Judged::Malformed);
    }
    for length in [0, 31, 33, 65] {
        let device = Commitment::new([1].repeat(length)).unwrap();
        assert_eq!(Es256.check_syntax(&device, &exchange.honest.2), Err(SuiteError::Peer));
        let context = exchange.world.context();
        let answer =
            Es256.server_commit(&exchange.world.server, &exchange.world.nonce_key, &context, &device);
        assert_eq!(answer, Err(SuiteError::Peer));
    }
}

/// Without the opening this would sign: the nonce was chosen after the server's was seen.
#[test]
fn e25_025_a_nonce_that_was_not_committed_to_is_cheating() {
    let mut world = World::new(25);
    let context = world.context();
    let (_, device, server) = world.commit(&context);
    let (late, _, _) = world.commit(&context);
    let hand = ByHand::new(&world, &context, &late, (&device, &server));
    let messages = (device, server, hand.honest());
    assert_eq!(judged(&world, &context, &messages), Judged::Cheating);
    // The point committed to and the salt of the other, and the other way round.
    let (own, device, server) = ByHand::fresh(&mut world, &context);
    let honest = own.honest();
    assert_eq!(judged(&world, &context, &(device.clone(), server.clone(), honest.clone())), Judged::Signed);
    for (at, part) in [(0, &hand.r1[..]), (SALT, &hand.salt[..])] {
        let mixed = Contribution::new(with(honest.as_slice(), at, part)).unwrap();
        assert_eq!(judged(&world, &context, &(device.clone(), server.clone(), mixed)), Judged::Cheating);
    }
}

#[test]
fn e25_026_a_contribution_is_for_one_context_and_one_commitment() {
    let mut world = World::new(26);
    let context = world.context();
    let (nonce, device, server) = world.commit(&context);
    let commitments = Commitments { device: &device, server: &server };
    let contribution = world.part(&context, nonce, commitments).unwrap();
    // The same nonce was committed to in another context: only the transcript tells them apart.
    for other in others(&context) {
        let answer = world.answer(&other, &device);
        let messages = (device.clone(), answer.clone(), contribution.clone());
        // Another public key is not that of the server's material.
        let same_key = other.public_key == context.public_key;
        let expected = if same_key { FinishError::Cheating } else { FinishError::ServerFault };
        assert_eq!(world.finish(&other, &messages), Err(expected), "{other:?}");
        // An answer that was never given in this context is the caller's to refuse; here nobody is blamed.
        let stale = (device.clone(), server.clone(), contribution.clone());
        assert_eq!(world.finish(&other, &stale), Err(FinishError::ServerFault), "{other:?}");
    }
    // Another commitment, and with it another answer.
    let (_, device, server) = world.commit(&context);
    assert_eq!(judged(&world, &context, &(device, server, contribution)), Judged::Cheating);
}

#[test]
fn e25_027_contributions_of_two_items_are_not_exchangeable() {
    let mut world = World::new(27);
    let first = world.context();
    let second = SigningContext { index: 1, ..first };
    let (one, two) = (world.contribute(&first), world.contribute(&second));
    assert_eq!(judged(&world, &first, &one), Judged::Signed);
    assert_eq!(judged(&world, &second, &two), Judged::Signed);
    let swapped = (one.0.clone(), one.1.clone(), two.2.clone());
    assert_eq!(judged(&world, &first, &swapped), Judged::Cheating);
    let swapped = (two.0.clone(), two.1.clone(), one.2.clone());
    assert_eq!(judged(&world, &second, &swapped), Judged::Cheating);
    // Fields of one in the other.
    for (at, end) in [(0, SALT), (0, PAD_NONCE), (PAD_NONCE, V), (V, correction(0)), (V, correction(BITS))] {
        let part = &two.2.as_slice()[at..end];
        let mixed = Contribution::new(with(one.2.as_slice(), at, part)).unwrap();
        let messages = (one.0.clone(), one.1.clone(), mixed);
        assert_eq!(judged(&world, &first, &messages), Judged::Cheating);
    }
}

#[test]
fn e25_028_another_share_or_seed_is_cheating() {
    let mut world = World::new(28);
    let other = World::new(29);
    let context = world.context();
    let seed = core::mem::replace(&mut world.seed, other.seed);
    let messages = world.contribute(&context);
    assert_eq!(judged(&world, &context, &messages), Judged::Cheating);
    world.seed = seed;
    world.device = other.device;
    let messages = world.contribute(&context);
    assert_eq!(judged(&world, &context, &messages), Judged::Cheating);
}

/// With a = 0 in every correction and v = r·α, s is 0 whatever the server's share is. Taken for nobody's fault, it would let
/// a device ask again and again, with guesses in the other items of a batch.
#[test]
fn e25_029_a_contribution_that_makes_s_zero_is_cheating() {
    let mut world = World::new(30);
    let context = world.context();
    let (hand, device, server) = ByHand::fresh(&mut world, &context);
    let corrections = hand.corrections(|_| p256::Scalar::ZERO);
    let contribution = hand.contribution(hand.r * hand.alpha(), &corrections);
    Es256.check_syntax(&device, &contribution).unwrap();
    assert_eq!(judged(&world, &context, &(device, server, contribution)), Judged::Cheating);
}
