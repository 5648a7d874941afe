//! Waits for the holder's decision: a line on the terminal counts the seconds, and Ctrl-C takes the request back.

use std::{
    io::{IsTerminal as _, Write as _},
    process,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use signer_client::{ClientError, DeviceLink, RelyingParty, desk::SystemClock, draw, ports::Clock as _};
use signer_core::{
    ids::RequestId,
    time::UnixSeconds,
    wire::{CreatedRequest, ProblemCode, RequestStatus, RequestView},
};

use crate::{
    ask::again,
    output::{Failure, Output},
};

/// What a shell gives a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
const POLL: Duration = Duration::from_secs(20);
/// While a link is shown: a poll ends when the request does, not when its link is opened.
const LINK_POLL: Duration = Duration::from_secs(2);

enum Event {
    Ended(Box<Result<RequestView, ClientError>>),
    LinkOpened,
    Interrupted,
}

/// From its start on Ctrl-C is an event. A second one ends the program at once.
pub(crate) struct Waiting {
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Waiting {
    pub(crate) fn start() -> Result<Self, Failure> {
        let (sender, events) = channel();
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| {
            let next_step = "Use --no-wait, and repeat the command with the same --idempotency-key.";
            Failure::new("signals", format!("cannot wait for Ctrl-C: {error}"), next_step)
        })?;
        let signalled = sender.clone();
        thread::spawn(move || {
            for (count, _) in signals.forever().enumerate() {
                if count > 0 || signalled.send(Event::Interrupted).is_err() {
                    process::exit(INTERRUPTED.into());
                }
            }
        });
        Ok(Self { sender, events })
    }

    /// Waits until the request is no longer open. `poller` is `bank` once more, for the thread that asks.
    pub(crate) fn decision(
        self,
        output: &Output,
        bank: &RelyingParty,
        poller: RelyingParty,
        created: &CreatedRequest,
    ) -> Result<RequestView, Failure> {
        let (request, sender) = (created.id, self.sender.clone());
        let mut link = DeviceLink::of(created).map(|link| ShownLink { link, began: Instant::now() });
        let mut closed = link.is_some();
        thread::spawn(move || {
            loop {
                let view = again(|| poller.wait(request, if closed { LINK_POLL } else { POLL }));
                match &view {
                    Ok(view) if view.status == RequestStatus::Open => {
                        if closed && view.link_opened == Some(true) {
                            closed = false;
                            drop(sender.send(Event::LinkOpened));
                        }
                    }
                    _ => {
                        // Nobody listens any more if the program is about to end.
                        drop(sender.send(Event::Ended(Box::new(view))));
                        return;
                    }
                }
            }
        });
        let line = Line { shown: !output.json && std::io::stderr().is_terminal(), began: SystemClock.wall() };
        loop {
            match &link {
                Some(link) => link.show(output)?,
                None => line.draw(UnixSeconds(created.expires)),
            }
            match self.events.recv_timeout(Duration::from_secs(1)) {
                Ok(Event::Ended(view)) => {
                    line.clear();
                    return Ok((*view)?);
                }
                Ok(Event::LinkOpened) => {
                    link = None;
                    output.progress("A phone has opened the link.");
                }
                Ok(Event::Interrupted) => {
                    line.clear();
                    return take_back(output, bank, request);
                }
                Err(_) => {}
            }
        }
    }
}

/// Cancels the request. If the holder was faster, the decision counts.
fn take_back(output: &Output, bank: &RelyingParty, request: RequestId) -> Result<RequestView, Failure> {
    output.progress("Taking the request back ...");
    match again(|| bank.cancel(request)) {
        Ok(()) => {
            let next_step = "Ask again if you still need it.";
            Err(Failure::new("cancelled", "the request was taken back", next_step).with_exit(INTERRUPTED))
        }
        Err(ClientError::Problem(problem)) if problem.code == ProblemCode::RequestClosed => {
            output.progress("The holder was faster.");
            Ok(again(|| bank.wait(request, Duration::ZERO))?)
        }
        Err(error) => {
            let sentence = format!("the request {request} may still be open: {error}");
            Err(Failure::new("not_cancelled", sentence, "It ends by itself at the time named above.")
                .with_exit(INTERRUPTED))
        }
    }
}

/// The link of a request that waits for a phone, another each second.
struct ShownLink {
    link: DeviceLink,
    began: Instant,
}

impl ShownLink {
    fn show(&self, output: &Output) -> Result<(), Failure> {
        let link = self.link.at(self.began.elapsed().as_secs());
        if !std::io::stderr().is_terminal() {
            output.progress(&link);
            return Ok(());
        }
        let matrix = draw::link_matrix(&link)
            .map_err(|error| Failure::new("draw", error.to_string(), "Shorten the server's public URL."))?;
        output.progress(&format!(
            "\x1b[2J\x1b[H{}\n  Scan this with the phone.",
            draw::terminal(&matrix, true)
        ));
        Ok(())
    }
}

/// The line that counts.
struct Line {
    shown: bool,
    began: UnixSeconds,
}

impl Line {
    fn draw(&self, expires: UnixSeconds) {
        let now = SystemClock.wall();
        let (waited, left) = (now.0.saturating_sub(self.began.0), expires.0.saturating_sub(now.0));
        let (waited, left) = (minutes(waited), minutes(left));
        self.write(&format!(
            "Waiting for the holder, {waited}. The request ends in {left}; Ctrl-C takes it back."
        ));
    }

    fn clear(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        if self.shown {
            let mut err = std::io::stderr().lock();
            // A terminal that went away is no fault of this program.
            drop(write!(err, "\r\x1b[K{text}").and_then(|()| err.flush()));
        }
    }
}

/// `M:SS`
fn minutes(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
