//! Both computations of β agree, and so do both whole finishes: what one of them says of a contribution, the other says.

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::es256::tests::World;

/// β is a sum of whatever it is given: shares, seeds and corrections that no key has.
#[test]
fn e25_086_both_sums_agree_on_random_and_extreme_inputs() {
    let mut world = World::new(96);
    let context = world.context();
    let (_, _, contribution) = world.contribute(&context);
    let head = &contribution.as_slice()[..161];
    let mut rng = StdRng::seed_from_u64(97);
    let mut random = || {
        let mut bytes = [0; 32];
        rand::Rng::fill_bytes(&mut rng, &mut bytes);
        bytes
    };
    let at_random = |random: &mut dyn FnMut() -> [u8; 32]| scalars::bytes(&scalars::reduced(&random()));
    for round in 0..24 {
        let correction = |random: &mut dyn FnMut() -> [u8; 32]| match round % 3 {
            0 => at_random(random),
            1 => [0; 32],
            _ => scalars::bytes(&-Scalar::ONE),
        };
        let tail: alloc::vec::Vec<u8> = (0..256).flat_map(|_| correction(&mut random)).collect();
        let bytes = [head, &tail].concat();
        let (mut top, mut betas) = ([0; 32], alloc::vec::Vec::new());
        top[0] = 0x80;
        // No bit, every bit, the lowest, the highest, any.
        for share in [[0; 32], [0xff; 32], scalars::bytes(&Scalar::ONE), top, random()] {
            let mut material = AtRest::read(&world.server).unwrap();
            material.share = &share;
            let seeds: alloc::vec::Vec<pads::Seed> = (0..256).map(|_| random()).collect();
            let attempt = Attempt {
                material: &material,
                seeds: &seeds,
                context: &context,
                session: [5; 32],
                k2: Zeroizing::new(Scalar::ONE),
                r2: &[],
                device: ContributionParts::read(&bytes).unwrap(),
                opened: true,
            };
            let beta = attempt.beta();
            assert_eq!(*beta, *attempt.beta_plain(), "round {round}");
            assert!(!betas.contains(&*beta));
            betas.push(*beta);
        }
    }
}

/// Right and wrong contributions, through each implementation alone.
#[test]
fn e25_087_both_finishes_agree() {
    let mut world = World::new(98);
    let context = world.context();
    for round in 0..48 {
        let (device, server, contribution) = world.contribute(&context);
        let mut bytes = contribution.as_slice().to_vec();
        match round % 3 {
            // One bit of v, or of a correction: right where the server's bit is 0.
            1 => bytes[160] ^= 1,
            2 => bytes[161 + 32 * round + 31] ^= 1,
            _ => {}
        }
        let material = AtRest::read(&world.server).unwrap();
        let commitments = Commitments { device: &device, server: &server };
        let contribution = Contribution::new(bytes).unwrap();
        let attempt = Attempt::new(&material, &world.nonce_key, &context, commitments, &contribution);
        let attempt = attempt.unwrap().unwrap();
        let (fast, plain) = (attempt.complete(&FAST).unwrap(), attempt.complete(&PLAIN).unwrap());
        assert_eq!(fast, plain);
        let expected = match round % 3 {
            0 => true,
            1 => false,
            _ => !world.bit(round),
        };
        assert_eq!(fast.is_some(), expected, "{round}");
    }
}
