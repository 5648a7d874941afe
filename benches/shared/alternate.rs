//! Baseline and subject in turns, so that a machine that slows down slows both.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// CPU time of the calling thread: what other processes do does not count.
#[must_use]
pub fn thread_cpu() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// CPU time of the whole process.
#[must_use]
pub fn process_cpu() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap()
}

/// The median; the upper one of an even number.
///
/// # Panics
/// If there are no values.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of one comparison, in microseconds of thread CPU time.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// One run of the baseline.
    pub baseline: f64,
    /// One run of the subject.
    pub subject: f64,
    /// Median over the rounds of subject ÷ baseline; it moves less than the quotient of the medians.
    pub ratio: f64,
}

/// How long one side runs in one round, so that the clock's own cost does not show.
const TURN: Duration = Duration::from_millis(10);

/// Measures both in turns, `rounds` times.
pub fn compare<A, B>(
    rounds: usize,
    mut baseline: impl FnMut() -> A,
    mut subject: impl FnMut() -> B,
) -> Compared {
    let mut baseline = || drop(black_box(baseline()));
    let mut subject = || drop(black_box(subject()));
    let (times_baseline, times_subject) = (warmed_up(&mut baseline), warmed_up(&mut subject));
    let pairs: Vec<(f64, f64)> = (0..rounds)
        .map(|_| (per_run(&mut baseline, times_baseline), per_run(&mut subject, times_subject)))
        .collect();
    Compared {
        baseline: median(pairs.iter().map(|pair| pair.0).collect()),
        subject: median(pairs.iter().map(|pair| pair.1).collect()),
        ratio: median(pairs.iter().map(|pair| pair.1 / pair.0).collect()),
    }
}

/// Runs until a turn is over, and says how many runs that were.
fn warmed_up(run: &mut impl FnMut()) -> u32 {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < TURN || times < 2 {
        run();
        times += 1;
    }
    times
}

fn per_run(run: &mut impl FnMut(), times: u32) -> f64 {
    let start = thread_cpu();
    for _ in 0..times {
        run();
    }
    (thread_cpu() - start).as_secs_f64() * 1e6 / f64::from(times)
}
