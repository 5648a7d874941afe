//! The open code screen: new codes in time, what the server tells, and what the holder answers.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use signer_client::{ClientError, Fault, Phone, Screen, ShowSession, StateError, TOP_UP_WITHIN_SECONDS};
use signer_core::{
    time::UnixSeconds,
    wire::{Check, Event},
};

use crate::{
    Show, checks,
    output::{Failure, Output},
    screen,
    show::current,
};

/// How often is asked where no stream tells, seconds.
const ASK_SECONDS: u64 = 3;
/// How often is asked beside a stream, seconds.
const MAKE_SURE_SECONDS: u64 = 30;

enum Input {
    Event(Event),
    StreamEnded,
    Line(String),
    End,
}

/// Shows until Ctrl-C.
pub(crate) fn run(
    output: &Output,
    args: &Show,
    mut phone: Phone,
    session: ShowSession,
    online: bool,
) -> Result<(), Failure> {
    let (sender, inputs) = channel();
    watch_signals(&sender)?;
    watch_lines(&sender);
    let now = phone.now();
    let top_up_at = now.plus(phone.top_up_delay());
    let mut live = Live {
        output,
        args,
        phone,
        session,
        sender,
        streaming: false,
        last: None,
        pending: None,
        ask_at: now,
        top_up_at,
        documents: false,
    };
    if online {
        live.listen();
    }
    let ended = live.run(&inputs);
    // Its short codes end with their step in any case.
    let _told = if args.offline { Ok(()) } else { live.phone.end_display(live.session) };
    ended
}

struct Live<'a> {
    output: &'a Output,
    args: &'a Show,
    phone: Phone,
    session: ShowSession,
    sender: Sender<Input>,
    /// Whether a stream tells of events.
    streaming: bool,
    last: Option<Screen>,
    /// The check that waits for the holder's word.
    pending: Option<Check>,
    ask_at: UnixSeconds,
    top_up_at: UnixSeconds,
    /// Whether documents may have changed since that was asked.
    documents: bool,
}

impl Live<'_> {
    fn run(&mut self, inputs: &Receiver<Input>) -> Result<(), Failure> {
        loop {
            self.draw()?;
            if !self.args.offline {
                self.ask()?;
                self.top_up();
            }
            match inputs.recv_timeout(Duration::from_secs(1)) {
                Ok(Input::Event(Event::Used | Event::Checks)) => self.ask_at = UnixSeconds(0),
                Ok(Input::Event(Event::Documents)) => (self.ask_at, self.documents) = (UnixSeconds(0), true),
                Ok(Input::StreamEnded) => self.streaming = false,
                Ok(Input::Line(line)) => self.answer(&line)?,
                Ok(Input::End) => return Ok(()),
                Ok(Input::Event(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_secs(1)),
            }
        }
    }

    fn draw(&mut self) -> Result<(), Failure> {
        let screen = match current(&mut self.phone, &mut self.session, self.args) {
            Err(ClientError::State(StateError::TurnsUsedUp)) => return Ok(()),
            screen => screen?,
        };
        let now = self.phone.now();
        if self.last.as_ref() != Some(&screen) {
            screen::write_files(self.args, &screen)?;
            screen::print(self.output, self.args, &self.session, &screen, now)?;
            if let Some(check) = &self.pending {
                checks::prompt(self.output, check);
            }
        }
        screen::count_down(self.output, self.args, screen.code.until.0.saturating_sub(now.0));
        self.last = Some(screen);
        Ok(())
    }

    /// Whether the code was used, and who wants to know more.
    fn ask(&mut self) -> Result<(), Failure> {
        let now = self.phone.now();
        if now < self.ask_at {
            return Ok(());
        }
        if !self.streaming {
            self.listen();
        }
        self.ask_at = now.plus(if self.streaming { MAKE_SURE_SECONDS } else { ASK_SECONDS });
        if self.documents {
            match self.renew() {
                Err(error) => return offline_is_fine(error),
                Ok(()) => self.documents = false,
            }
        }
        match self.phone.poll(&mut self.session) {
            Err(ClientError::State(StateError::TurnsUsedUp)) => {
                self.output.progress("This code was used sixteen times; wait for the next one.");
            }
            Err(error) => return offline_is_fine(error),
            Ok(_) => {}
        }
        let first = match self.phone.checks() {
            Ok(checks) => checks.into_iter().next(),
            Err(error) => return offline_is_fine(error),
        };
        if let Some(check) = first.as_ref().filter(|check| self.pending.as_ref() != Some(*check)) {
            checks::prompt(self.output, check);
        }
        self.pending = first;
        Ok(())
    }

    /// What a register's event ended is shown no more; another credential takes its place on the screen.
    fn renew(&mut self) -> Result<(), ClientError> {
        if !self.phone.renew_withdrawn()?.is_empty() && self.phone.replace_withdrawn(&mut self.session)? {
            self.output.progress("Your document was changed: this code is of the new one.");
        }
        Ok(())
    }

    fn answer(&mut self, line: &str) -> Result<(), Failure> {
        let Some(check) = self.pending.take() else { return Ok(()) };
        let allow = matches!(line.trim(), "y" | "Y" | "yes");
        self.ask_at = UnixSeconds(0);
        match self.phone.answer_check(&check, allow) {
            Ok(()) => {
                checks::answered(self.output, &check, allow);
                Ok(())
            }
            Err(error) if matches!(error.fault(), Fault::Refused | Fault::Network) => {
                self.output.progress(&format!("Your answer did not count: {error}."));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// At a random moment, so that it does not betray a show. The code on the screen stays.
    fn top_up(&mut self) {
        let (kind, now) = (self.session.document_type(), self.phone.now());
        if now >= self.top_up_at && self.phone.needs_top_up(kind) {
            let _offline_is_fine = self.phone.top_up(kind);
            self.top_up_at = now.plus(TOP_UP_WITHIN_SECONDS);
        }
    }

    fn listen(&mut self) {
        let Ok(stream) = self.phone.listen() else { return };
        self.streaming = true;
        let sender = self.sender.clone();
        thread::spawn(move || {
            for event in stream.map_while(Result::ok) {
                if sender.send(Input::Event(event)).is_err() {
                    return;
                }
            }
            // The screen may be gone.
            let _ = sender.send(Input::StreamEnded);
        });
    }
}

pub(crate) fn offline_is_fine(error: ClientError) -> Result<(), Failure> {
    match error.fault() {
        Fault::Network | Fault::Refused => Ok(()),
        _ => Err(error.into()),
    }
}

fn watch_signals(sender: &Sender<Input>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| {
        Failure::new("signals", format!("cannot wait for Ctrl-C: {error}"), "Use --once.")
    })?;
    let sender = sender.clone();
    thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(Input::End).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn watch_lines(sender: &Sender<Input>) {
    let sender = sender.clone();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(Input::Line(line)).is_err() {
                return;
            }
        }
    });
}
