//! Masks and offsets.

use proptest::prelude::*;

use super::*;

fn wide(bytes: (u64, [u8; 32])) -> SecretBytes<64> {
    let mut out = [0; 64];
    out[..8].copy_from_slice(&bytes.0.to_be_bytes());
    out[32..].copy_from_slice(&bytes.1);
    Secret::new(out)
}

proptest! {
    #[test]
    fn fro_012_unmasking_gives_back_what_was_masked(
        share in any::<[u8; 31]>(),
        high in any::<u64>(),
        low in any::<[u8; 32]>(),
    ) {
        let mut bytes = [0; 32];
        bytes[1..].copy_from_slice(&share);
        let masked = Frost.mask(&DeviceShare(Secret::new(bytes)), &wide((high, low)));
        prop_assert!(Frost.unmask(&masked, &wide((high, low))).0.ct_eq(&Secret::new(bytes)));
    }

    /// Every mask gives a canonical share, also of bytes that are not canonical.
    #[test]
    fn fro_012_every_mask_gives_a_share(masked in any::<[u8; 32]>(), low in any::<[u8; 32]>()) {
        for masked in [masked, [0xFF; 32], [0; 32]] {
            let share = Frost.unmask(&MaskedShare(masked), &wide((1, low)));
            prop_assert!(points::scalar(share.0.expose()).is_some());
        }
    }
}

#[test]
fn fro_014_refresh_keeps_the_public_key_and_retires_the_old_share() {
    let mut world = World::new(16);
    for epoch in 1..4 {
        let offset = Secret::new([u8::try_from(epoch).unwrap(); 64]);
        let device = Frost.offset_device_share(&world.device, &offset);
        let server = Frost.offset_server_share(&world.server, &offset).unwrap();
        world.key.epoch = Epoch(epoch);

        // New device, old server; old device, new server.
        let old_device = core::mem::replace(&mut world.device, device);
        assert_eq!(world.sign(), Err(FinishError::Cheating));
        let old_server = core::mem::replace(&mut world.server, server);
        let new_device = core::mem::replace(&mut world.device, old_device);
        assert_eq!(world.sign(), Err(FinishError::Cheating));
        assert_ne!(world.server.0, old_server.0);

        world.device = new_device;
        let signature = world.sign().unwrap();
        assert!(Frost.verify(&world.public_key, &DIGEST, &signature));
        assert!(super::super::shares::ServerMaterial::decode(&world.server).unwrap().is_consistent());
    }
}

#[test]
fn fro_014_refresh_of_damaged_material_is_refused() {
    let world = World::new(17);
    let mut bytes = world.server.0.to_vec();
    bytes.push(0);
    let result = Frost.offset_server_share(&ServerShare(bytes.into()), &Secret::new([1; 64]));
    assert_eq!(result.err(), Some(SuiteError::OwnMaterial));
    // An offset that would make the server's share zero: −s_S/2.
    let share = points::scalar(&world.server.0[3..35]).unwrap();
    let half = share * k256::Scalar::from(2u64).invert().unwrap();
    let mut offset = [0; 64];
    offset[32..].copy_from_slice(&(-half).to_bytes());
    let result = Frost.offset_server_share(&world.server, &Secret::new(offset));
    assert_eq!(result.err(), Some(SuiteError::OwnMaterial));
}
