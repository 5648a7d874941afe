//! Oblivious transfer with hostile messages: refused, or no signature ever comes of the key, and so no key is confirmed.

use p256::{ProjectivePoint, Scalar};

use super::{
    by_hand::random,
    hostile_device::{Judged, judged},
    keygen::bad_points,
    *,
};

/// Bytes of one question and of one answer.
const ASKED: usize = 66;
const ANSWER: usize = 97;

/// One seeding of the share of a world, message by message.
struct Seeding {
    world: World,
    asked: KeygenMessage,
    seeds: KeygenMessage,
    number: u64,
}

impl Seeding {
    fn new(number: u64) -> Self {
        let world = World::new(number);
        let (_, asked) = Self::ask(&world, &SESSION, number);
        let seeds = Self::answer(&world, &SESSION, asked.as_slice()).unwrap();
        Self { world, asked, seeds, number }
    }

    /// The same question for the same number.
    fn ask(world: &World, session: &[u8; 32], number: u64) -> (Box<dyn ServerSeeding>, KeygenMessage) {
        let share = ServerShare(world.server.0.clone());
        Es256.server_seeding(share, session, &mut StdRng::seed_from_u64(number)).unwrap()
    }

    fn answer(world: &World, session: &[u8; 32], asked: &[u8]) -> Result<KeygenMessage, SuiteError> {
        let asked = KeygenMessage::new(asked.to_vec()).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        Es256.device_seeding(&world.key, &world.seed, session, &asked, &mut rng)
    }

    /// What becomes of the first signature when the server takes these seeds.
    fn first_signature(&mut self, session: &[u8; 32], seeds: &[u8]) -> Result<Judged, SuiteError> {
        let (seeding, _) = Self::ask(&self.world, session, self.number);
        let share = seeding.finish(&KeygenMessage::new(seeds.to_vec()).unwrap())?;
        let before = core::mem::replace(&mut self.world.server, share);
        let context = self.world.context();
        let messages = self.world.contribute(&context);
        let judged = judged(&self.world, &context, &messages);
        self.world.server = before;
        Ok(judged)
    }
}

#[test]
fn e25_070_the_server_gets_the_seed_of_each_bit_and_no_other() {
    let mut seeding = Seeding::new(80);
    let (server, _) = Seeding::ask(&seeding.world, &SESSION, 80);
    let share = server.finish(&seeding.seeds).unwrap();
    let pairs = pads::seeds(&seeding.world.seed, &seeding.world.key);
    for (j, pair) in pairs.iter().enumerate() {
        let got = &share.0[97 + 32 * j..][..32];
        let chosen = usize::from(seeding.world.bit(j));
        assert_eq!(got, pair[chosen], "seed {j}");
        assert_ne!(got, pair[1 - chosen], "seed {j}");
    }
    let seeds = seeding.seeds.as_slice().to_vec();
    assert_eq!(seeding.first_signature(&SESSION, &seeds), Ok(Judged::Signed));
}

/// Wrong where the server looks, the first signature fails; wrong where it does not look, nothing happens. That is one
/// predicate over the share, once: after a failure the share is thrown away.
#[test]
fn e25_071_a_wrong_seed_is_caught_exactly_where_the_servers_bit_chooses_it() {
    let mut seeding = Seeding::new(81);
    let seeds = seeding.seeds.as_slice().to_vec();
    let edited = |seeds: Vec<u8>, j: usize, message: usize| {
        flipped(&seeds, ANSWER * j + 33 + 32 * message + j % 32, 1 << (j % 8))
    };
    let bits: Vec<usize> = (0..BITS).map(|j| usize::from(seeding.world.bit(j))).collect();
    // Every seed that is not chosen, all at once; and then one more.
    let harmless = bits.iter().enumerate().fold(seeds, |seeds, (j, bit)| edited(seeds, j, 1 - bit));
    assert_eq!(seeding.first_signature(&SESSION, &harmless), Ok(Judged::Signed));
    for j in [0, 1, 127, 255] {
        let harmful = edited(harmless.clone(), j, bits[j]);
        assert_eq!(seeding.first_signature(&SESSION, &harmful), Ok(Judged::Cheating), "seed {j}");
    }
}

#[test]
fn e25_072_seeds_swapped_repeated_or_of_another_place_are_caught() {
    let mut seeding = Seeding::new(82);
    let seeds = seeding.seeds.as_slice().to_vec();
    let one = (0..BITS).find(|j| seeding.world.bit(*j)).unwrap();
    let zero = (0..BITS).find(|j| !seeding.world.bit(*j)).unwrap();
    let [first, second] = [33, 65].map(|at| move |j: usize| ANSWER * j + at);
    // Both encrypted seeds alike, or exchanged.
    let copied = with(&seeds, second(one), &seeds[first(one)..][..32]);
    assert_eq!(seeding.first_signature(&SESSION, &copied), Ok(Judged::Cheating));
    let copied = with(&seeds, first(zero), &seeds[second(zero)..][..32]);
    assert_eq!(seeding.first_signature(&SESSION, &copied), Ok(Judged::Cheating));
    for j in [one, zero] {
        let swapped = [&seeds[second(j)..][..32], &seeds[first(j)..][..32]].concat();
        let swapped = with(&seeds, first(j), &swapped);
        assert_eq!(seeding.first_signature(&SESSION, &swapped), Ok(Judged::Cheating));
    }
    // One transfer's answer in another's place; all of them turned by one.
    let moved = with(&seeds, 0, &seeds[ANSWER..2 * ANSWER]);
    assert_eq!(seeding.first_signature(&SESSION, &moved), Ok(Judged::Cheating));
    let turned = [&seeds[ANSWER..], &seeds[..ANSWER]].concat();
    assert_eq!(seeding.first_signature(&SESSION, &turned), Ok(Judged::Cheating));
    // Zeros in place of every encrypted seed.
    let mut zeros = seeds;
    (0..BITS).for_each(|j| zeros[first(j)..][..64].fill(0));
    assert_eq!(seeding.first_signature(&SESSION, &zeros), Ok(Judged::Cheating));
}

#[test]
fn e25_073_points_of_the_answer_are_strict() {
    let mut seeding = Seeding::new(83);
    let seeds = seeding.seeds.as_slice().to_vec();
    let at = ANSWER * (BITS - 1);
    for bad in bad_points(&seeds[at..][..33]) {
        assert_eq!(seeding.first_signature(&SESSION, &with(&seeds, at, &bad)), Err(SuiteError::Peer));
    }
    // Another point, and the negative: that shares x(a·B), but not the bytes that are hashed.
    for other in [flipped(&seeds[at..][..33], 0, 1), seeds[..33].to_vec()] {
        let edited = with(&seeds, at, &other);
        assert_eq!(seeding.first_signature(&SESSION, &edited), Ok(Judged::Cheating));
    }
}

#[test]
fn e25_074_points_of_the_question_are_strict() {
    let mut seeding = Seeding::new(84);
    let asked = seeding.asked.as_slice().to_vec();
    for at in [0, 33, ASKED, ASKED * 3 + 33] {
        for bad in bad_points(&asked[at..][..33]) {
            let edited = with(&asked, at, &bad);
            let answer = Seeding::answer(&seeding.world, &SESSION, &edited);
            assert_eq!(answer.err(), Some(SuiteError::Peer));
        }
    }
    // A question that was changed on its way: the server cannot open what it looks at.
    let generator = points::compressed(&ProjectivePoint::GENERATOR.to_affine()).unwrap();
    let point = |at: usize| &asked[at..][..33];
    let edits = [
        (0, with(&asked, 0, &[point(33), point(0)].concat())),
        (1, with(&asked, ASKED, point(ASKED + 33))),
        (77, flipped(&asked, ASKED * 77, 1)),
        (128, flipped(&asked, ASKED * 128 + 33, 1)),
        (254, with(&asked, ASKED * 254, &generator)),
        (255, with(&asked, ASKED * 255 + 33, &generator)),
    ];
    for (j, edited) in edits {
        let seeds = Seeding::answer(&seeding.world, &SESSION, &edited).unwrap();
        assert_eq!(seeding.first_signature(&SESSION, seeds.as_slice()), Ok(Judged::Cheating), "{j}");
    }
}

#[test]
fn e25_075_question_and_answer_are_of_one_session() {
    let mut seeding = Seeding::new(85);
    let (other_session, seeds) = ([9; 32], seeding.seeds.as_slice().to_vec());
    // The answer to the same question in another session, and to another question in the same.
    let other = Seeding::answer(&seeding.world, &other_session, seeding.asked.as_slice()).unwrap();
    assert_eq!(seeding.first_signature(&SESSION, other.as_slice()), Ok(Judged::Cheating));
    let (_, asked) = Seeding::ask(&seeding.world, &SESSION, 86);
    let other = Seeding::answer(&seeding.world, &SESSION, asked.as_slice()).unwrap();
    assert_eq!(seeding.first_signature(&SESSION, other.as_slice()), Ok(Judged::Cheating));
    // A server that asks in another session than the device answers in.
    assert_eq!(seeding.first_signature(&other_session, &seeds), Ok(Judged::Cheating));
}

/// Wrong bits: the server asks with another share than the one in the key. The device learns of it from the first signature
/// that never comes, and neither confirms the key.
#[test]
fn e25_076_seeds_for_other_bits_than_the_shares_give_no_signature() {
    let mut seeding = Seeding::new(87);
    for j in [0, 1, 100, 254] {
        let mut share = seeding.world.server.0.clone();
        share[31 - j / 8] ^= 1 << (j % 8);
        let wrong = ServerShare(share);
        let (asking, asked) = Es256.server_seeding(wrong, &SESSION, &mut StdRng::seed_from_u64(2)).unwrap();
        let seeds = Seeding::answer(&seeding.world, &SESSION, asked.as_slice()).unwrap();
        let got = asking.finish(&seeds).unwrap();
        // Seeds of the wrong bits, the share as it is.
        let material = [&seeding.world.server.0[..97], &got.0[97..]].concat();
        let before = core::mem::replace(&mut seeding.world.server, ServerShare(material.into()));
        let context = seeding.world.context();
        assert_eq!(seeding.world.sign(&context), Err(FinishError::Cheating), "seeds, bit {j}");
        // The wrong share altogether.
        seeding.world.server = got;
        assert_eq!(seeding.world.sign(&context), Err(FinishError::Cheating), "share, bit {j}");
        seeding.world.server = before;
        assert!(seeding.world.sign(&context).is_ok());
    }
}

/// Both points of a transfer are sums of a random one and a hash: nothing in their form tells which is which, and neither
/// bit gives the same question twice.
#[test]
fn e25_077_questions_are_fresh() {
    let seeding = Seeding::new(88);
    let (_, again) = Seeding::ask(&seeding.world, &SESSION, 89);
    let mut seen = alloc::collections::BTreeSet::new();
    for asked in [&seeding.asked, &again] {
        assert_eq!(asked.as_slice().len(), BITS * ASKED);
        for point in asked.as_slice().chunks(33) {
            assert!(points::from_compressed(point).is_some());
            assert!(seen.insert(point.to_vec()));
        }
    }
    let mut other = seeding.world;
    other.server = ServerShare(with(&other.server.0, 0, &scalars::bytes(&random(&mut other.rng))).into());
    let (_, asked) = Seeding::ask(&other, &SESSION, 88);
    assert_ne!(asked, seeding.asked);
    assert_ne!(Scalar::ZERO, scalars::canonical(&other.server.0[..32]).unwrap());
}
