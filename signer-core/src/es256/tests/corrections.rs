//! Corrections that differ between bits: success then depends on those bits. Each try survives with the probability of
//! its guess, and the first that does not ends the key. Measured here, run by run and on average.

use p256::Scalar;

use super::{
    by_hand::{ByHand, power, random},
    hostile_device::{Judged, judged},
    *,
};

/// One exchange in which only corrections and v are the attacker's. The finish holds no state: it can be asked again.
struct Attack {
    world: World,
    hand: ByHand,
    device: Commitment,
    server: Commitment,
}

/// A correction made wrong at this bit by this much, and the guess of the bit.
type Wrong = (usize, Scalar, bool);

impl Attack {
    fn new(number: u64) -> Self {
        let mut world = World::new(number);
        let context = world.context();
        let (hand, device, server) = ByHand::fresh(&mut world, &context);
        Self { world, hand, device, server }
    }

    /// Whether wrong corrections survive, v adapted to the guesses.
    fn survives(&self, wrong: &[Wrong]) -> bool {
        let mut corrections = self.hand.corrections(|_| self.hand.a);
        let mut v = self.hand.v();
        for (j, error, guess) in wrong {
            corrections[*j] += error;
            // Where the bit is 1, β becomes less by 2ʲ·error.
            if *guess {
                v += self.hand.r * power(*j) * error;
            }
        }
        let contribution = self.hand.contribution(v, &corrections);
        let messages = (self.device.clone(), self.server.clone(), contribution);
        match judged(&self.world, &self.world.context(), &messages) {
            Judged::Signed => true,
            Judged::Cheating => false,
            Judged::Malformed => panic!("all is in range"),
        }
    }

    fn is_right(&self, wrong: &[Wrong]) -> bool {
        wrong.iter().all(|(j, _, guess)| self.world.bit(*j) == *guess)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(rand::Rng::next_u32(&mut self.world.rng)).unwrap() % bound
    }

    /// `count` wrong corrections at different random places with guesses of `guess`.
    fn draw(&mut self, count: usize, guess: impl Fn(&mut Self) -> bool) -> Vec<Wrong> {
        let mut wrong: Vec<Wrong> = Vec::new();
        while wrong.len() < count {
            let j = self.below(BITS);
            if wrong.iter().all(|(other, ..)| *other != j) {
                let error = random(&mut self.world.rng);
                let guess = guess(self);
                wrong.push((j, error, guess));
            }
        }
        wrong
    }

    /// Runs of `count` guesses, each judged rightly; how many survived.
    fn measure(&mut self, count: usize, runs: usize, guess: impl Fn(&mut Self) -> bool) -> usize {
        let one = |attack: &mut Self| {
            let wrong = attack.draw(count, &guess);
            let survives = attack.survives(&wrong);
            assert_eq!(survives, attack.is_right(&wrong));
            survives
        };
        (0..runs).filter(|_| one(self)).count()
    }
}

/// Within four standard deviations of `runs`·2⁻ᵏ.
fn is_likely(survived: usize, runs: usize, k: u32) -> bool {
    let (survived, runs) =
        (f64::from(u32::try_from(survived).unwrap()), f64::from(u32::try_from(runs).unwrap()));
    let p = 0.5_f64.powi(i32::try_from(k).unwrap());
    let difference = survived - runs * p;
    difference * difference <= 16.0 * runs * p * (1.0 - p)
}

const RUNS: [(usize, usize); 4] = [(1, 256), (2, 256), (4, 512), (8, 1024)];

#[test]
fn e25_030_k_guessed_bits_survive_with_probability_two_to_the_minus_k() {
    let mut attack = Attack::new(31);
    for (count, runs) in RUNS {
        let survived = attack.measure(count, runs, |attack| attack.below(2) == 1);
        assert!(is_likely(survived, runs, u32::try_from(count).unwrap()), "{count}: {survived} of {runs}");
    }
}

#[test]
fn e25_031_wrong_corrections_without_a_guess_survive_where_all_bits_are_0() {
    let mut attack = Attack::new(32);
    let zeros = (0..BITS).filter(|j| !attack.world.bit(*j)).count();
    assert!((96..160).contains(&zeros), "{zeros}");
    for (count, runs) in [(1, 96), (2, 96), (4, 96)] {
        attack.measure(count, runs, |_| false);
    }
}

#[test]
fn e25_032_all_corrections_wrong_survive_only_a_guess_of_the_whole_share() {
    let mut attack = Attack::new(33);
    let all = |attack: &mut Attack, guess: &dyn Fn(&mut Attack, usize) -> bool| -> Vec<Wrong> {
        let one = |attack: &mut Attack, j| (j, random(&mut attack.world.rng), guess(attack, j));
        (0..BITS).map(|j| one(attack, j)).collect()
    };
    let mut known = all(&mut attack, &|attack, j| attack.world.bit(j));
    assert!(attack.survives(&known));
    for j in (0..BITS).step_by(5) {
        known[j].2 ^= true;
        assert!(!attack.survives(&known), "{j}");
        known[j].2 ^= true;
    }
    for _ in 0..64 {
        let wrong = all(&mut attack, &|attack, _| attack.below(2) == 1);
        assert!(!attack.survives(&wrong));
    }
}

/// Errors that cancel: the predicate is over several bits, and still one, here whether two bits are equal.
#[test]
fn e25_033_a_try_tests_one_linear_predicate() {
    let mut attack = Attack::new(34);
    let mut survived = 0;
    for _ in 0..256 {
        let places = attack.draw(2, |_| false);
        let [(i, error, _), (j, ..)] = places[..] else { panic!() };
        let other = -(error * power(i)) * power(j).invert().unwrap();
        let survives = attack.survives(&[(i, error, false), (j, other, false)]);
        assert_eq!(survives, attack.world.bit(i) == attack.world.bit(j));
        survived += usize::from(survives);
    }
    assert!(is_likely(survived, 256, 1), "{survived}");
}
