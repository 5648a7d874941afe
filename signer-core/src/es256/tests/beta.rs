//! Both computations of β agree, and so do both whole finishes: what one of them says of a contribution, the other says.

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::es256::tests::World;

/// Everything of an attempt at random, none of it meaningful: β is a sum of whatever it is given.
fn attempt<'a>(
    material: &'a Material,
    seeds: &'a [pads::Seed],
    context: &'a SigningContext<'a>,
    contribution: &'a [u8],
) -> Attempt<'a> {
    let device = ContributionParts::read(contribution).unwrap();
    Attempt { material, seeds, context, session: [5; 32], k2: Zeroizing::new(Scalar::from(3_u64)), device }
}

#[test]
fn e25_086_both_sums_agree_on_random_and_extreme_inputs() {
    let mut world = World::new(96);
    let context = world.context();
    let (_, _, contribution) = world.contribute(&context);
    let head = &contribution.as_slice()[..161];
    let less_one = scalars::bytes(&-Scalar::ONE);
    let mut rng = StdRng::seed_from_u64(97);
    let mut random = || {
        let mut bytes = [0; 32];
        rand::Rng::fill_bytes(&mut rng, &mut bytes);
        bytes
    };
    let corrections: [fn(&mut dyn FnMut() -> [u8; 32]) -> [u8; 32]; 3] = [
        |random| scalars::bytes(&scalars::reduced(&random())),
        |_| [0; 32],
        |_| scalars::bytes(&-Scalar::ONE),
    ];
    assert_eq!(corrections[2](&mut random), less_one);
    let mut material = Material::read(&world.server).unwrap();
    for round in 0..8 {
        for correction in corrections {
            let tail: alloc::vec::Vec<u8> = (0..256).flat_map(|_| correction(&mut random)).collect();
            let bytes = [head, &tail].concat();
            let mut betas = alloc::vec::Vec::new();
            // No bit, every bit, the lowest, the highest, any.
            let top = crate::secret::Secret::new([&[0x80][..], &[0; 31]].concat().try_into().unwrap());
            for share in [[0; 32], [0xff; 32], *top.expose(), scalars::bytes(&Scalar::ONE), random()] {
                material.share = crate::secret::Secret::new(share);
                let seeds: alloc::vec::Vec<pads::Seed> = (0..256).map(|_| random()).collect();
                let attempt = attempt(&material, &seeds, &context, &bytes);
                let beta = attempt.beta();
                assert_eq!(*beta, *attempt.beta_plain(), "round {round}");
                betas.push(*beta);
            }
            assert!(betas.iter().enumerate().all(|(i, beta)| !betas[..i].contains(beta)));
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
        let material = Material::read(&world.server).unwrap();
        let seeds = material.seeds_for(&context.public_key).unwrap();
        let device_parts = ContributionParts::read(&bytes).unwrap();
        let r2 = &server.as_slice()[..65];
        let attempt = Attempt {
            material: &material,
            seeds,
            context: &context,
            session: transcript::session(&context, &device, r2),
            k2: nonce(&context.nonce_seed(&world.nonce_key, &device), &material.share),
            device: device_parts,
        };
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
