//! Many at once: long polls that wait, and sessions from the question to the result.

mod polls;
mod sessions;

use std::fmt;

pub use self::polls::hold;
use self::{polls::Polls, sessions::Sessions};
use crate::server::Server;

/// First argument of the process that holds the polls.
pub const HOLD: &str = "hold";

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Long polls that wait all the time.
    pub polls: usize,
    /// Sessions begun each second.
    pub rate: usize,
    /// Seconds.
    pub seconds: usize,
}

/// What was measured.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    bytes_per_poll: usize,
    resident: usize,
    sessions: sessions::Times,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, bytes_per_poll, resident, sessions } = self;
        writeln!(f, "open long polls                          {}", plan.polls)?;
        writeln!(f, "memory of the server for each, bytes     {bytes_per_poll}")?;
        writeln!(f, "memory of the process at the end, MiB    {}", resident / (1 << 20))?;
        writeln!(f, "sessions asked for, per second           {}", plan.rate)?;
        writeln!(f, "sessions finished, per second            {:.1}", sessions.rate())?;
        writeln!(f, "sessions in all                          {}", sessions.count())?;
        writeln!(f, "begun late by, ms (p50, p99)             {}", sessions.late())?;
        writeln!(f, "approve sent to result seen, ms (p50, p99) {}", sessions.approve_to_result())?;
        write!(f, "question to result, ms (p50, p99)        {}", sessions.whole())
    }
}

/// Runs the plan.
///
/// # Panics
/// If anything is refused or fails: a figure of a run with errors says nothing.
#[must_use]
pub fn run(plan: &Plan) -> Report {
    let server = Server::start(None);
    let mut sessions = Sessions::prepare(&server);
    let polls = Polls::open(&server, plan.polls);
    let bytes_per_poll = polls.bytes_each();
    let times = sessions.run(plan);
    let resident = resident();
    polls.check_all_open();
    Report { plan: *plan, bytes_per_poll, resident, sessions: times }
}

/// Memory of this process that is in use, bytes (`proc(5)`, statm).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}
