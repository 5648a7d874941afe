//! Damaged material on the server. No signature comes of it; where it can be told, nobody is blamed.
//!
//! Damage of the share shows in the nonce, which is derived from it. Damage of a seed cannot be told: a right contribution
//! looks wrong then. Seeds rest under an AEAD ([`crate::wrap`]), so damage there does not reach the suite unnoticed.

use super::*;

fn finish_with(world: &World, messages: &Messages, material: Vec<u8>) -> Result<Signature, FinishError> {
    let (device, server, contribution) = messages;
    let commitments = Commitments { device, server };
    let share = ServerShare(material.into());
    Es256.finish(&share, &world.nonce_key, &world.context(), commitments, contribution)
}

#[test]
fn e25_060_damage_that_cannot_be_told_gives_no_signature() {
    let mut world = World::new(60);
    let context = world.context();
    let messages = world.contribute(&context);
    let bytes = world.server.0.to_vec();
    assert!(finish_with(&world, &messages, bytes.clone()).is_ok());
    // The form and y of Q, and some bytes of every seed.
    for at in [32].into_iter().chain(65..96).chain((97..bytes.len()).step_by(31)) {
        for mask in [1, 0x80] {
            assert!(finish_with(&world, &messages, flipped(&bytes, at, mask)).is_err(), "byte {at}");
        }
    }
}

#[test]
fn e25_061_damage_that_can_be_told_is_nobodys_fault() {
    let mut world = World::new(61);
    let context = world.context();
    let messages = world.contribute(&context);
    let bytes = world.server.0.to_vec();
    let mut damaged: Vec<Vec<u8>> =
        (0..32).chain(33..65).chain([96]).map(|at| flipped(&bytes, at, 1)).collect();
    damaged.extend([
        Vec::new(),
        bytes[..31].to_vec(),
        bytes[..97].to_vec(),
        bytes[..bytes.len() - 1].to_vec(),
        bytes[..bytes.len() - 32].to_vec(),
        [&bytes[..], &[0; 32]].concat(),
        with(&bytes, 0, &[0; 32]),
        with(&bytes, 0, &ORDER),
        World::new(62).server.0.to_vec(),
    ]);
    for damaged in damaged {
        assert_eq!(finish_with(&world, &messages, damaged), Err(FinishError::ServerFault));
    }
    // Another nonce key, and an answer that this key never gave.
    let (device, server, contribution) = &messages;
    for at in [0, 31] {
        let nonce_key = Secret::new(flipped(&[7; 32], at, 1).try_into().unwrap());
        let commitments = Commitments { device, server };
        let result = Es256.finish(&world.server, &nonce_key, &context, commitments, contribution);
        assert_eq!(result, Err(FinishError::ServerFault));
    }
    for answer in [Vec::new(), server.as_slice()[..65].to_vec(), [server.as_slice(), &[0]].concat()] {
        let server = Commitment::new(answer).unwrap();
        let result = world.finish(&context, &(device.clone(), server, contribution.clone()));
        assert_eq!(result, Err(FinishError::ServerFault));
    }
}

#[test]
fn e25_062_damaged_material_is_neither_moved_nor_seeded() {
    let mut world = World::new(63);
    let bytes = world.server.0.to_vec();
    let offset = Secret::new([1; 64]);
    for damaged in [Vec::new(), bytes[..96].to_vec(), [&bytes[..], &[0]].concat(), with(&bytes, 0, &ORDER)] {
        let share = ServerShare(damaged.clone().into());
        assert_eq!(Es256.offset_server_share(&share, &offset).err(), Some(SuiteError::OwnMaterial));
        let result = Es256.server_seeding(share, &SESSION, &mut world.rng);
        assert_eq!(result.err(), Some(SuiteError::OwnMaterial));
    }
    // An offset that would make the share 0.
    let zeroing = Secret::new(with(&[0; 64], 32, &bytes[..32]).try_into().unwrap());
    let result = Es256.offset_server_share(&world.server, &zeroing);
    assert_eq!(result.err(), Some(SuiteError::OwnMaterial));
}

/// A refresh moves both shares; the seeds belong to the share they were asked for, so old ones sign nothing.
#[test]
fn e25_063_refreshed_shares_sign_under_the_same_key_once_seeded() {
    let mut world = World::new(64);
    let context = world.context();
    let offset = Secret::new([0x42; 64]);
    let device = Es256.offset_device_share(&world.device, &offset);
    let server = Es256.offset_server_share(&world.server, &offset).unwrap();
    let old_device = core::mem::replace(&mut world.device, device);
    // New device's share under the old server's.
    assert_eq!(world.sign(&context), Err(FinishError::Cheating));
    // New share, seeds of the old.
    world.server = ServerShare([&server.0[..], &world.server.0[97..]].concat().into());
    assert_eq!(world.sign(&context), Err(FinishError::Cheating));
    // Not seeded yet.
    world.server = ServerShare(server.0.clone());
    assert_eq!(world.sign(&context), Err(FinishError::ServerFault));
    let (seeding, asked) = Es256.server_seeding(server, &SESSION, &mut world.rng).unwrap();
    let answer = Es256.device_seeding(&world.key, &world.seed, &SESSION, &asked, &mut world.rng).unwrap();
    world.server = seeding.finish(&answer).unwrap();
    assert!(world.sign(&context).is_ok());
    world.device = old_device;
    assert_eq!(world.sign(&context), Err(FinishError::Cheating));
}
