//! What happens in a run, drawn from its seed.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::server::Crash;

/// Whose hands hold the phone, or a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Holder,
    Thief,
}

/// What happens to a letter on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    /// It does not arrive now. It may later: [`Event::Again`].
    Lost,
    /// It arrives, its answer does not.
    AnswerLost,
    /// It arrives twice; the second answer is heard.
    Twice,
    /// The server dies at one of its commits, and is back for the next letter or only after the act.
    Crash(Crash, bool),
}

/// A mishap of the letter after the first `after` letters of an act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) after: u8,
    pub(crate) mishap: Mishap,
}

/// One event. Numbers choose among what is there, modulo how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// The bank asks the holder for a signature.
    Ask,
    /// It takes a request back.
    Cancel(u8),
    /// Lists, fetches and approves a request.
    Approve { who: Who, request: u8, right: bool, trouble: Option<Trouble> },
    /// Finds out what became of what was sent.
    Look { who: Who, trouble: Option<Trouble> },
    /// Changes the PIN, and with it the shares.
    ChangePin { who: Who, to: u8, right: bool, trouble: Option<Trouble> },
    /// The app is killed and opened again.
    Reopen,
    /// A thief copies an image of the phone's state, so many images back, with the keystore.
    Copy { back: u8, knows_pin: bool },
    /// The holder enrols with a new phone.
    Enrol { trouble: Option<Trouble> },
    /// The operator suspends or resumes the installation.
    Suspend { suspended: bool, crash: Option<Crash> },
    /// The operator revokes it.
    Revoke { crash: Option<Crash> },
    /// An earlier letter arrives (again), late or out of order.
    Again(u8),
    /// Two earlier letters arrive at the same moment.
    Race(u8, u8),
    /// Time passes, seconds.
    Wait(u64),
    /// The server's clock is set off by so many seconds.
    ServerClock(i64),
    /// The phone's wall clock is.
    PhoneClock(i64),
    /// The server is stopped; a copy of its file is kept.
    Restart,
    /// The file is replaced by a copy, so many restarts back.
    Restore(u8),
}

/// The events of a seed.
pub(crate) fn of(seed: u64) -> Vec<Event> {
    let mut rng = StdRng::seed_from_u64(seed);
    let length = rng.random_range(4..=24);
    let mut events = vec![Event::Ask];
    events.extend((0..length).map(|_| one(&mut rng)));
    events
}

fn one(rng: &mut StdRng) -> Event {
    let (a, b) = (rng.random(), rng.random());
    match rng.random_range(0..100) {
        0..15 => Event::Ask,
        15..17 => Event::Cancel(a),
        17..47 => Event::Approve {
            who: who(rng),
            request: a,
            right: rng.random_ratio(2, 3),
            trouble: trouble(rng, 4),
        },
        47..53 => Event::Look { who: who(rng), trouble: trouble(rng, 2) },
        53..61 => {
            Event::ChangePin { who: who(rng), to: a, right: rng.random_ratio(4, 5), trouble: trouble(rng, 5) }
        }
        61..63 => Event::Reopen,
        63..67 => Event::Copy { back: if rng.random() { 0 } else { a % 8 }, knows_pin: rng.random() },
        67..69 => Event::Enrol { trouble: trouble(rng, 5) },
        69..74 => Event::Suspend { suspended: rng.random_ratio(1, 3), crash: crash_or_none(rng) },
        74..75 => Event::Revoke { crash: crash_or_none(rng) },
        75..83 => Event::Again(a),
        83..87 => Event::Race(a, b),
        87..92 => Event::Wait(*pick(rng, &[1, 20, 200, 700, 3 * 3600, 24 * 3600 + 1])),
        92..94 => Event::ServerClock(*pick(rng, &[-3600, -30, 0, 0, 30, 400, 90_000])),
        94..96 => Event::PhoneClock(*pick(rng, &[-100_000, -90, 0, 90, 100_000])),
        96..98 => Event::Restart,
        _ => Event::Restore(a),
    }
}

fn pick<'a, T>(rng: &mut StdRng, all: &'a [T]) -> &'a T {
    &all[rng.random_range(0..all.len())]
}

fn who(rng: &mut StdRng) -> Who {
    if rng.random_ratio(4, 5) { Who::Holder } else { Who::Thief }
}

fn trouble(rng: &mut StdRng, letters: u8) -> Option<Trouble> {
    let mishap = match rng.next_u32() % 10 {
        0 | 1 => Mishap::Lost,
        2 => Mishap::AnswerLost,
        3 => Mishap::Twice,
        4..=6 => Mishap::Crash(crash(rng), rng.random()),
        _ => return None,
    };
    // Mostly the letter that counts: an approve comes after list and fetch.
    let after = if rng.random() { rng.random_range(0..letters) } else { letters.saturating_sub(2) };
    Some(Trouble { after, mishap })
}

fn crash(rng: &mut StdRng) -> Crash {
    Crash { after: rng.random_range(0..2), witnessed: rng.random() }
}

fn crash_or_none(rng: &mut StdRng) -> Option<Crash> {
    rng.random_ratio(1, 4).then(|| Crash { after: 0, witnessed: rng.random() })
}
