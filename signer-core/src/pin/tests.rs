//! PINs, their costs, masks, and the proof by exchange of worlds that stored state tests no PIN.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use alloc::{format, string::ToString, vec::Vec};

use k256::{
    Scalar,
    elliptic_curve::{PrimeField, ops::Reduce},
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    codec,
    domain::Macer,
    frost::tests::{DIGEST, World, key_context},
    ids::{DeviceId, Epoch, KeyId},
    suite::{DeviceShare, ServerShare, Signature},
};

const IMAGE_BYTES_MAX: usize = 256;

/// What this phone's hardware key makes of a PIN; cheap to stretch, but the same computation.
fn mask_of(pin: &str, salt: Salt, context: &KeyContext) -> PinMask {
    let hardware = Secret::new([0x11; 32]);
    let stretched = stretch(&Pin::entered(pin).unwrap(), &salt, PinCost::TEST).unwrap();
    let bound = Macer::new(&hardware, Domain::PinStretch).field(stretched.message().expose()).derive();
    PinMask::derive(&bound, context)
}

fn copy(share: &DeviceShare) -> DeviceShare {
    DeviceShare(share.0.duplicate())
}

fn scalar(share: &DeviceShare) -> Scalar {
    Scalar::from_repr((*share.0.expose()).into()).unwrap()
}

/// `to − from` in the form of a refresh offset.
fn difference(to: &DeviceShare, from: &DeviceShare) -> SecretBytes<64> {
    let mut wide = [0; 64];
    wide[32..].copy_from_slice(&(scalar(to) - scalar(from)).to_bytes());
    Secret::new(wide)
}

/// One state image of a phone, and what the server holds at the same time.
struct Moment {
    image: Vec<u8>,
    server: ServerShare,
    gate: GateKey,
    signature: Signature,
}

/// The whole protocol with a PIN: unmask the image, prove the gate, sign.
fn run(
    world: &mut World,
    image: &[u8],
    pin: &str,
    server: &ServerShare,
    gate: &GateKey,
) -> Option<Signature> {
    let stored: MaskedKey = codec::decode(image, IMAGE_BYTES_MAX).unwrap();
    let unlocked = stored.unmask(mask_of(pin, *stored.salt(), stored.context()));
    let tag = unlocked.gate_key().mac(Domain::GateApprove).field(&DIGEST).tag();
    if !gate.mac(Domain::GateApprove).field(&DIGEST).verify(&tag) {
        return None;
    }
    world.key = *stored.context();
    world.device = copy(unlocked.part().share);
    world.server = ServerShare(server.0.clone());
    world.sign().ok()
}

/// A real life of a phone: enrolment with the first PIN, then one refresh per further PIN.
fn history(world: &mut World, pins: &[&str]) -> Vec<Moment> {
    let suite = key_context().suite.get();
    let mut rng = StdRng::seed_from_u64(99);
    let mut fresh =
        FreshKey::new(key_context(), world.public_key, copy(&world.device), SecretBytes::random(&mut rng));
    let mut server = ServerShare(world.server.0.clone());
    let mut moments = Vec::new();
    for pin in pins {
        let salt = Salt::random(&mut rng);
        let mask = mask_of(pin, salt, fresh.context());
        let (masked, gate) = MaskedKey::new(fresh, mask, salt, PinCost::FLOOR);
        let image = codec::encode(&masked);
        let signature = run(world, &image, pin, &server, &gate).unwrap();
        let offset = SecretBytes::random(&mut rng);
        let unlocked = masked.unmask(mask_of(pin, salt, masked.context()));
        let next = suite.offset_server_share(&server, &offset).unwrap();
        moments.push(Moment { image, server: core::mem::replace(&mut server, next), gate, signature });
        fresh = unlocked.offset(&offset, SecretBytes::random(&mut rng));
    }
    moments
}

/// Another life with other PINs that leaves the same images behind, byte for byte, and works as well.
fn exchange_worlds(world: &mut World, moments: &[Moment], pins: &[&str]) {
    let suite = key_context().suite.get();
    let mut before: Option<(UnlockedKey, ServerShare)> = None;
    for (moment, pin) in moments.iter().zip(pins) {
        let stored: MaskedKey = codec::decode(&moment.image, IMAGE_BYTES_MAX).unwrap();
        let (context, salt) = (*stored.context(), *stored.salt());
        let unlocked = stored.unmask(mask_of(pin, salt, &context));
        let share = copy(unlocked.part().share);
        let seed = unlocked.part().seed.duplicate();
        let (fresh, server) = match before.take() {
            // At enrolment: key generation that gave this share, and to the server the one that goes with it.
            None => {
                let real = moments[0].server.0.clone();
                let truth = copy(&world.device);
                let server = suite.offset_server_share(&ServerShare(real), &difference(&share, &truth));
                (FreshKey::new(context, *stored.public_key(), share, seed), server.unwrap())
            }
            // At a refresh: an offset tossed differently.
            Some((old, server)) => {
                let offset = difference(&share, old.part().share);
                let server = suite.offset_server_share(&server, &offset).unwrap();
                (old.offset(&offset, seed), server)
            }
        };
        let (masked, gate) = MaskedKey::new(fresh, mask_of(pin, salt, &context), salt, stored.cost());
        let image = codec::encode(&masked);
        assert_eq!(image, moment.image, "the other life leaves the same image");
        let signature = run(world, &image, pin, &server, &gate).expect("the other life signs as well");
        assert!(suite.verify(stored.public_key(), &DIGEST, &signature));
        before = Some((unlocked, server));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The stolen phone. Whatever a thief computes from the images of a phone over its life, the public key and
    /// signatures, he computes the same in a world in which any other PINs are the right ones.
    #[test]
    fn pin_001_no_function_of_stored_state_tests_a_pin(
        seed in any::<u64>(),
        right in prop::collection::vec("[0-9]{6,12}", 1..4),
        wrong in prop::collection::vec("[0-9]{6,12}", 4),
    ) {
        let mut world = World::new(seed);
        let first = copy(&world.device);
        let pins: Vec<&str> = right.iter().map(|pin| pin.as_str()).collect();
        let others: Vec<&str> = wrong.iter().map(|pin| pin.as_str()).collect();
        let moments = history(&mut world, &pins);
        world.device = first;
        exchange_worlds(&mut world, &moments, &others);
    }
}

#[test]
fn pin_002_the_gate_tells_right_from_wrong() {
    let mut world = World::new(1);
    let moments = history(&mut world, &["728194", "9053718264"]);
    let [first, second] = &moments[..] else { panic!() };
    assert!(run(&mut world, &first.image, "728194", &first.server, &first.gate).is_some());
    for wrong in ["728195", "7281940", "000000"] {
        assert!(run(&mut world, &first.image, wrong, &first.server, &first.gate).is_none());
    }
    // After the refresh neither the old PIN nor the old image opens the gate.
    assert!(run(&mut world, &second.image, "728194", &second.server, &second.gate).is_none());
    assert!(run(&mut world, &first.image, "728194", &second.server, &second.gate).is_none());
    assert!(run(&mut world, &second.image, "9053718264", &second.server, &second.gate).is_some());
    for moment in &moments {
        assert!(world.key.suite.get().verify(&world.public_key, &DIGEST, &moment.signature));
    }
}

#[test]
fn pin_003_common_pins_are_refused() {
    for good in ["728194", "0918273", "582047", "190482736455", "100001", "199412"] {
        assert!(Pin::new(good).is_ok(), "{good}");
    }
    for common in [
        "000000",
        "999999999999",
        "123456",
        "234567",
        "890123",
        "987654",
        "321098",
        "121212",
        "123123",
        "12341234",
        "1212121",
        "1231231",
        "123321",
        "112233",
        "147258",
        "159753",
        "314159",
    ] {
        assert_eq!(Pin::new(common).err(), Some(PinError::Common), "{common}");
        assert!(Pin::entered(common).is_ok(), "a PIN chosen before a longer list still opens");
    }
    for bad in
        ["", "12345", "1234567890123", "72819a", "72 194", "７２８１９４", "728194\n", "-72819", "+728194"]
    {
        assert_eq!(Pin::new(bad).err(), Some(PinError::Form), "{bad:?}");
        assert_eq!(Pin::entered(bad).err(), Some(PinError::Form), "{bad:?}");
    }
}

#[test]
fn pin_004_costs_outside_the_bounds_do_not_exist() {
    let PinCost { memory_kib, passes } = PinCost::FLOOR;
    assert_eq!(PinCost::new(memory_kib, passes), Some(PinCost::FLOOR));
    assert_eq!(PinCost::new(262_144, 16), Some(PinCost::CEILING));
    for (memory_kib, passes) in
        [(19_455, 2), (19_456, 1), (0, 0), (262_145, 2), (19_456, 17), (u32::MAX, u32::MAX)]
    {
        assert_eq!(PinCost::new(memory_kib, passes), None);
        let bytes = codec::encode(&PinCost { memory_kib, passes });
        assert!(codec::decode::<PinCost>(&bytes, 16).is_err());
    }
    let bytes = codec::encode(&PinCost::CEILING);
    assert_eq!(codec::decode::<PinCost>(&bytes, 16), Ok(PinCost::CEILING));
}

#[test]
fn pin_005_every_flipped_bit_of_an_image_is_found() {
    let mut world = World::new(2);
    let image = &history(&mut world, &["728194"])[0].image;
    assert!(image.len() <= IMAGE_BYTES_MAX);
    let stored: MaskedKey = codec::decode(image, IMAGE_BYTES_MAX).unwrap();
    assert_eq!(&codec::encode(&stored), image);
    for bit in 0..image.len() * 8 {
        let mut bytes = image.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(codec::decode::<MaskedKey>(&bytes, IMAGE_BYTES_MAX).is_err(), "bit {bit}");
    }
}

#[test]
fn pin_006_masks_differ_by_pin_salt_key_epoch_and_device() {
    let base = key_context();
    let salt = Salt::from_bytes([5; 16]);
    let bytes = |mask: PinMask| (*mask.share.expose(), *mask.seed.expose());
    let first = bytes(mask_of("728194", salt, &base));
    assert_eq!(first, bytes(mask_of("728194", salt, &base)));
    for other in [
        mask_of("728195", salt, &base),
        mask_of("7281940", salt, &base),
        mask_of("728194", Salt::from_bytes([6; 16]), &base),
        mask_of("728194", salt, &KeyContext { key: KeyId::from_bytes([9; 16]), ..base }),
        mask_of("728194", salt, &KeyContext { epoch: Epoch(1), ..base }),
        mask_of("728194", salt, &KeyContext { device: DeviceId::from_bytes([9; 16]), ..base }),
    ] {
        let (share, seed) = bytes(other);
        assert_ne!(share, first.0);
        assert_ne!(seed, first.1);
    }
}

#[test]
fn pin_007_gate_key_depends_on_each_field() {
    let key = |context, public_key: u8, share: u8, seed: u8| {
        let public_key = crate::suite::GroupPublicKey([public_key; 33]);
        let share = DeviceShare(Secret::new([share; 32]));
        let fresh = FreshKey::new(context, public_key, share, Secret::new([seed; 32]));
        *fresh.gate_key().expose().expose()
    };
    let base = key_context();
    let first = key(base, 2, 1, 1);
    for other in [
        key(KeyContext { key: KeyId::from_bytes([9; 16]), ..base }, 2, 1, 1),
        key(KeyContext { epoch: Epoch(9), ..base }, 2, 1, 1),
        key(KeyContext { device: DeviceId::from_bytes([9; 16]), ..base }, 2, 1, 1),
        key(base, 3, 1, 1),
        key(base, 2, 2, 1),
        key(base, 2, 1, 2),
    ] {
        assert_ne!(first, other);
    }
}

/// The real cost, once; and the numbers, so that no update changes what phones have stored. OpenSSL 3.5's Argon2id gives
/// the first, Python's hashlib and hmac the others.
#[test]
fn pin_008_stretching_is_pinned() {
    let stretched =
        stretch(&Pin::new("728194").unwrap(), &Salt::from_bytes([5; 16]), PinCost::FLOOR).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    insta::assert_snapshot!(hex(stretched.0.expose()), @"2b7e5d55ff0e69f3b1b3dbd3e4c422cb097486ad7b85a7706b706fe1d21ab66c");
    insta::assert_snapshot!(hex(stretched.message().expose()), @"36f9fbdbb245bbcfcc746b63097e9935e28ac5c383bcddb2750366ac5bf349c0");
    let mask = PinMask::derive(&stretched.message(), &key_context());
    insta::assert_snapshot!(hex(mask.share.expose()), @"5afa980ff0182cdb33fd00105441762bf428cd536f1e186916919bd53b0843d351afc25518b82ab03855fe90b8c35040071810ef135dff89761582636e0fca81");
    insta::assert_snapshot!(hex(mask.seed.expose()), @"af2d25facbdc6e71519cd7f2765f8dc8563983a991b98dc7843fc2f9ee3bd9eb");
}

#[test]
fn pin_009_debug_shows_no_secret() {
    let salt = Salt::from_bytes([5; 16]);
    let pin = Pin::entered("728194").unwrap();
    insta::assert_snapshot!(format!("{pin:?}"), @"Pin(redacted)");
    let stretched = stretch(&pin, &salt, PinCost::TEST).unwrap();
    insta::assert_snapshot!(format!("{stretched:?}"), @"Stretched(Secret(redacted))");
    insta::assert_snapshot!(format!("{:?}", mask_of("728194", salt, &key_context())), @"PinMask(redacted)");
    let public_key = crate::suite::GroupPublicKey([2; 33]);
    let share = DeviceShare(Secret::new([0xAA; 32]));
    let fresh = FreshKey::new(key_context(), public_key, share, Secret::new([0xAA; 32]));
    insta::assert_snapshot!(format!("{fresh:?}"), @"FreshKey(redacted)");
    let mask = mask_of("728194", salt, &key_context());
    let (masked, gate) = MaskedKey::new(fresh, mask, salt, PinCost::FLOOR);
    insta::assert_snapshot!(format!("{gate:?}"), @"GateKey(Secret(redacted))");
    insta::assert_snapshot!(format!("{masked:?}"), @"MaskedKey { context: KeyContext { suite: FrostSecp256k1Sha256, key: KeyId(01010101010101010101010101010101), epoch: Epoch(0), device: DeviceId(02020202020202020202020202020202) }, public_key: GroupPublicKey(020202020202020202020202020202020202020202020202020202020202020202), cost: PinCost { memory_kib: 19456, passes: 2 }, .. }");
    let unlocked = masked.unmask(mask_of("728194", salt, &key_context()));
    insta::assert_snapshot!(format!("{unlocked:?}"), @"UnlockedKey(redacted)");
    assert_eq!(Pin::new("1").unwrap_err().to_string(), "a PIN is 6 to 12 digits");
}

/// The order of the group is close to 2²⁵⁶, but masks must not rely on it: 64 bytes are reduced.
#[test]
fn pin_010_masks_are_reduced_from_64_bytes() {
    let context = key_context();
    let mask = mask_of("728194", Salt::from_bytes([5; 16]), &context);
    let wide = Scalar::reduce(&k256::WideBytes::from(*mask.share.expose()));
    let zero = crate::suite::MaskedShare([0; 32]);
    let unmasked = context.suite.get().unmask(&zero, &mask.share);
    assert_eq!(scalar(&unmasked), -wide);
}
