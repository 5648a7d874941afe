//! The state image: what is never in it, and that it tests no PIN.

use std::sync::Arc;

use minicbor::Decoder;
use signer_client::{
    ClientError, Showing, StateError,
    desk::{FileStorage, SoftwareKey, system_rng},
    ports::{HardwareKey as _, Storage as _},
    state::{STATE_VERSION, server_of},
};
use signer_core::{
    codec,
    credential::DocumentType,
    domain::{Domain, expand},
    pin::{FreshKey, MaskedKey, Pin, PinMask, stretch},
    secret::SecretBytes,
    suite::{DeviceShare, MaskedShare, SuiteId},
    wire::{
        Approve, ApprovePayload, BODY_BYTES_MAX, Confirmation, EnrolConfirm, Envelope, Exchange,
        RefreshConfirm, RefreshPayload, RefreshStart,
    },
};

use crate::support::{OTHER_PIN, PIN, SUITE, WRONG_PIN, World, pin};

/// A life of a phone with two PINs: enrol, sign (a wrong PIN first), change the PIN, sign, show.
fn life(suite: SuiteId, seed: u64, first: &str, second: &str, wrong: &str) -> Arc<World> {
    let world = World::of(suite, seed);
    let mut phone = world.phone();
    phone.enrol(suite, crate::support::CODE, &pin(first)).unwrap();
    for digits in [wrong, first] {
        let now = world.clock().truth.as_secs();
        world.server().ask(&[[0x33; 32]], now);
        let listed = phone.requests().unwrap().remove(0);
        let shown = phone.fetch(listed).unwrap();
        phone.approve(shown, &pin(digits)).unwrap();
    }
    assert!(phone.change_pin(&pin(wrong), &pin(second)).is_err());
    phone.change_pin(&pin(first), &pin(second)).unwrap();
    let listed = phone.requests().unwrap().remove(0);
    let shown = phone.fetch(listed).unwrap();
    phone.approve(shown, &pin(second)).unwrap();
    phone.top_up(DocumentType::IdentityCard).unwrap();
    let mut session = phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    phone.code(&mut session).unwrap();
    world
}

/// The masked keys in an image, each with where its bytes begin.
fn masked_keys(image: &[u8]) -> Vec<(usize, MaskedKey)> {
    let mut decoder = Decoder::new(image);
    decoder.array().unwrap();
    for _ in 0..4 {
        decoder.skip().unwrap();
    }
    let mut found = Vec::new();
    let key = |decoder: &mut Decoder<'_>, found: &mut Vec<(usize, MaskedKey)>| {
        let start = decoder.position();
        decoder.skip().unwrap();
        if let Ok(key) = codec::decode::<MaskedKey>(&image[start..decoder.position()], 1024) {
            found.push((start, key));
        }
    };
    key(&mut decoder, &mut found);
    // The pending key: [[masked, device key], since].
    if decoder.datatype().unwrap() == minicbor::data::Type::Array {
        decoder.array().unwrap();
        decoder.array().unwrap();
        key(&mut decoder, &mut found);
    }
    found
}

/// Masked share and masked seed: fields 2 and 3 of a masked key, and their positions in its encoding.
fn masked_values(key: &MaskedKey) -> ([u8; 32], [u8; 32]) {
    let bytes = codec::encode(key);
    let mut decoder = Decoder::new(&bytes);
    decoder.array().unwrap();
    decoder.skip().unwrap();
    decoder.skip().unwrap();
    let share = decoder.bytes().unwrap().try_into().unwrap();
    (share, decoder.bytes().unwrap().try_into().unwrap())
}

struct Opened {
    share: DeviceShare,
    seed: SecretBytes<32>,
    bound: SecretBytes<32>,
}

/// Opens a masked key with a PIN, as a thief with phone and keystore would.
fn open(world: &World, key: &MaskedKey, digits: &str) -> Opened {
    let stretched = stretch(&Pin::entered(digits).unwrap(), key.salt(), key.cost()).unwrap();
    let bound = world.key.lock().unwrap().bind(&stretched).unwrap();
    let context = key.context();
    let (suite, epoch) = ([context.suite.number()], context.epoch.0.to_be_bytes());
    let fields: [&[u8]; 4] = [&suite, context.key.as_bytes(), &epoch, context.device.as_bytes()];
    let share_mask: SecretBytes<64> = expand(bound.expose(), Domain::ShareMask, &fields);
    let seed_mask: SecretBytes<32> = expand(bound.expose(), Domain::SeedMask, &fields);
    let (share, seed) = masked_values(key);
    let seed = std::array::from_fn(|place| seed[place] ^ seed_mask.expose()[place]);
    let share = context.suite.get().unmask(&MaskedShare(share), &share_mask);
    Opened { share, seed: SecretBytes::new(seed), bound }
}

/// What is secret in the bodies that were sent: contributions, MACs, gate keys.
fn sent_secrets(world: &World) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    let mut confirmation = |confirmation: Confirmation| {
        secrets.push(confirmation.gate_key.0.expose().to_vec());
        secrets.push(confirmation.contribution.as_slice().to_vec());
        // Empty where the suite has none; nothing is found by nothing.
        secrets.extend(confirmation.seeds.as_slice().chunks(97).map(|one| one[33..].to_vec()));
        secrets.push(confirmation.mac.to_vec());
    };
    for body in bodies::<EnrolConfirm>(world) {
        confirmation(body.0);
    }
    for body in bodies::<RefreshConfirm>(world) {
        confirmation(body.0);
    }
    for body in bodies::<Approve>(world) {
        let payload: ApprovePayload = codec::decode(body.payload.as_slice(), BODY_BYTES_MAX).unwrap();
        secrets.push(payload.mac.to_vec());
        secrets.extend(payload.items.as_slice().iter().map(|item| item.contribution.as_slice().to_vec()));
    }
    for body in bodies::<RefreshStart>(world) {
        let payload: RefreshPayload = codec::decode(body.payload.as_slice(), BODY_BYTES_MAX).unwrap();
        secrets.push(payload.mac.to_vec());
    }
    assert!(secrets.len() >= 14);
    secrets
}

fn bodies<E: Exchange>(world: &World) -> Vec<E> {
    let path = format!("/device/v1/{}", E::OPERATION.path());
    world.bodies(&path).iter().map(|body| Envelope::decode(body).unwrap().peek().unwrap()).collect()
}

fn contains(image: &[u8], needle: &[u8]) -> bool {
    image.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn cli_060_no_image_holds_a_secret_that_tests_a_pin() {
    SuiteId::ALL.into_iter().for_each(no_image_holds_a_secret);
}

fn no_image_holds_a_secret(suite: SuiteId) {
    let world = life(suite, 60, PIN, OTHER_PIN, WRONG_PIN);
    let images = world.images();
    assert!(images.len() > 8);
    let gate_keys = world.server().gate_keys.clone();
    assert_eq!(gate_keys.len(), 2, "enrolment and change");
    let mut secrets = world.server().secrets.clone();
    assert!(secrets.len() >= 6);
    for digits in [PIN, OTHER_PIN, WRONG_PIN] {
        secrets.push(digits.as_bytes().to_vec());
        secrets.push(digits.bytes().map(|digit| digit - b'0').collect());
    }
    for image in &images {
        for (_, key) in masked_keys(image) {
            for digits in [PIN, OTHER_PIN, WRONG_PIN] {
                let Opened { share, seed, bound } = open(&world, &key, digits);
                let mask = PinMask::derive(&bound, key.context());
                let gate = key.unmask(mask).gate_key();
                secrets.push(share.0.expose().to_vec());
                secrets.push(seed.expose().to_vec());
                secrets.push(bound.expose().to_vec());
                secrets.push(gate.expose().expose().to_vec());
            }
        }
    }
    // The right PIN's gate key is the server's, so the secrets above are the real ones.
    assert!(gate_keys.iter().all(|gate| secrets.contains(gate)));
    secrets.extend(sent_secrets(&world));
    for (place, image) in images.iter().enumerate() {
        for (which, secret) in secrets.iter().enumerate() {
            assert!(!contains(image, secret), "image {place} holds secret {which}");
        }
    }
}

/// Whoever has every image of a phone and its keystore, and tries a PIN, finds a world in which that PIN is the right one
/// and every image is the same, byte for byte.
#[test]
fn cli_061_every_pin_explains_an_image_equally_well() {
    SuiteId::ALL.into_iter().for_each(every_pin_explains_an_image);
}

fn every_pin_explains_an_image(suite: SuiteId) {
    let world = life(suite, 61, PIN, OTHER_PIN, WRONG_PIN);
    let mut checked = 0;
    let mut images = world.images();
    images.dedup();
    for image in images.iter().step_by(3) {
        for (start, key) in masked_keys(image) {
            for guess in [PIN, OTHER_PIN, WRONG_PIN, "000000", "999999999999"] {
                let Opened { share, seed, bound } = open(&world, &key, guess);
                let fresh = FreshKey::new(*key.context(), *key.public_key(), share, seed);
                let mask = PinMask::derive(&bound, key.context());
                let (again, _) = MaskedKey::new(fresh, mask, *key.salt(), key.cost());
                let bytes = codec::encode(&again);
                assert_eq!(&image[start..start + bytes.len()], bytes, "{guess}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 15);
}

/// Two lives that differ in nothing but the PINs: their images differ in the masked share, the masked seed and the checksum
/// over both, and nowhere else.
#[test]
fn cli_062_nothing_else_in_an_image_depends_on_the_pin() {
    SuiteId::ALL.into_iter().for_each(nothing_else_depends_on_the_pin);
}

fn nothing_else_depends_on_the_pin(suite: SuiteId) {
    let (one, other) =
        (life(suite, 62, PIN, OTHER_PIN, WRONG_PIN), life(suite, 62, "847362", "295174", "601738"));
    let (one, other) = (one.images(), other.images());
    assert_eq!(one.len(), other.len());
    for (place, (one, other)) in one.iter().zip(&other).enumerate() {
        assert_eq!(one.len(), other.len(), "image {place}");
        let keys = masked_keys(one);
        let mut may_differ = vec![false; one.len()];
        for (start, key) in &keys {
            let bytes = codec::encode(key);
            let (share, seed) = masked_values(key);
            let find = |value: &[u8]| bytes.windows(value.len()).position(|window| window == value).unwrap();
            for range in [(find(&share), 32), (find(&seed), 32), (bytes.len() - 8, 8)] {
                may_differ[start + range.0..start + range.0 + range.1].fill(true);
            }
        }
        let differ: Vec<_> = (0..one.len()).filter(|at| one[*at] != other[*at] && !may_differ[*at]).collect();
        assert!(differ.is_empty(), "image {place} differs at {differ:?}");
    }
}

#[test]
fn cli_063_an_image_of_another_version_is_refused_by_name() {
    let world = World::new(63);
    drop(world.enrolled());
    let good = world.image();
    assert_eq!(u32::from(good[1]), STATE_VERSION);
    let mut newer = good.clone();
    newer[1] = 9;
    world.set_image(newer.clone());
    let error = world.try_phone().unwrap_err();
    assert!(matches!(error, ClientError::State(StateError::Version { found: 9, .. })));
    assert_eq!(error.to_string(), "the stored state has version 9, this program reads version 5");
    assert_eq!(error.next_step(), "Update this program.");
    assert!(server_of(&newer).is_err());
    assert_eq!(server_of(&good).unwrap(), "https://signer.test");
}

#[test]
fn cli_064_a_damaged_image_is_refused() {
    let world = World::new(64);
    drop(world.enrolled());
    let good = world.image();
    for length in (0..good.len()).step_by(7) {
        world.set_image(good[..length].to_vec());
        assert!(world.try_phone().is_err(), "{length}");
    }
    let mut longer = good.clone();
    longer.push(0);
    world.set_image(longer);
    assert!(matches!(world.try_phone(), Err(ClientError::State(StateError::Damaged))));
    // Bit rot in the masked key is found by its checksum over the masked bytes.
    let (start, _) = masked_keys(&good)[0];
    let mut rotten = good;
    rotten[start + 100] ^= 1;
    world.set_image(rotten);
    assert!(world.try_phone().is_err());
}

#[test]
fn cli_065_an_image_opens_only_with_its_own_keystore_and_nothing_personal_is_printed() {
    let world = World::new(65);
    let phone = world.enrolled();
    let printed = format!("{phone:?}");
    assert!(printed.len() < 400, "{printed}");
    let image = world.image();
    let stranger = World::new(66);
    stranger.set_image(image);
    assert!(matches!(stranger.try_phone(), Err(ClientError::State(StateError::OtherDevice))));
}

#[test]
fn cli_066_a_file_is_replaced_as_a_whole_and_is_the_owners_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.cbor");
    let mut storage = FileStorage::new(&path);
    assert_eq!(storage.load().unwrap(), None);
    storage.store(b"one").unwrap();
    storage.store(b"second").unwrap();
    assert_eq!(storage.load().unwrap().unwrap(), b"second");
    let names: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["state.cbor"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // What a crash left beside it does no harm.
    std::fs::write(directory.path().join("state.cbor.new"), b"half").unwrap();
    assert_eq!(storage.load().unwrap().unwrap(), b"second");
    storage.store(b"third").unwrap();
    assert_eq!(storage.load().unwrap().unwrap(), b"third");
    storage.erase().unwrap();
    storage.erase().unwrap();
    assert_eq!(storage.load().unwrap(), None);
}

#[test]
fn cli_067_the_stand_in_keystore_keeps_its_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hardware-key.json");
    let (mut key, made) = SoftwareKey::open(&path, system_rng()).unwrap();
    assert!(made);
    let public = key.public_key().unwrap();
    let (handle, _) = key.new_day_key().unwrap();
    let (gone, _) = key.new_day_key().unwrap();
    key.keep_day_keys(&[handle]).unwrap();
    drop(key);
    let (mut key, made) = SoftwareKey::open(&path, system_rng()).unwrap();
    assert!(!made);
    assert_eq!(key.public_key().unwrap(), public);
    assert!(key.sign_with_day_key(handle, b"m").is_ok());
    assert!(key.sign_with_day_key(gone, b"m").is_err());
    key.reset().unwrap();
    assert_ne!(key.public_key().unwrap(), public);
}

#[test]
fn cli_068_no_image_holds_the_document_in_the_clear() {
    let world = life(SUITE, 68, PIN, OTHER_PIN, WRONG_PIN);
    let envelopes = world.server().envelopes.clone();
    for value in ["Шевченко", "Олена", "000123456"].map(str::as_bytes) {
        assert!(envelopes.iter().any(|envelope| contains(envelope, value)));
        assert!(world.images().iter().all(|image| !contains(image, value)));
    }
    for envelope in &envelopes {
        assert!(world.images().iter().all(|image| !contains(image, &envelope[envelope.len() - 64..])));
    }
}

#[test]
fn cli_069_expired_credentials_are_dropped_on_open_and_on_every_save() {
    // An image ends with the batches, trust list and root, which are not there, and the unheard tries.
    const EMPTY: &[u8] = &[0x80, 0xf6, 0xf6, 0];
    for reopen in [true, false] {
        let world = World::new(69);
        let mut phone = world.enrolled();
        phone.top_up(DocumentType::IdentityCard).unwrap();
        assert!(!world.image().ends_with(EMPTY));
        world.pass(27 * 3600);
        if reopen {
            drop(phone);
            phone = world.phone();
        } else {
            phone.synchronise().unwrap();
        }
        assert!(world.image().ends_with(EMPTY));
        assert_eq!(phone.stock(DocumentType::IdentityCard).age, 0);
    }
}
