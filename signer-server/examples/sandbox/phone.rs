//! One played phone, on a thread of its own.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_client::{
    Approved, Phone, PhoneOptions, Ports, RelyingParty, Waiting,
    desk::{SoftwareKey, SystemClock, system_rng},
    http::{NetworkHttp, NetworkOptions},
    ports::{Storage, StorageError},
};
use signer_core::{
    ids::RequestId,
    pin::Pin,
    suite::SuiteId,
    wire::{CreateRequest, DocumentDigest, VerificationCode},
};
use signer_server::{ports, store::Store};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    Result,
    people::{Act, Habit},
};

const PIN: &str = "730194";
const WRONG_PIN: &str = "730149";
/// How often a phone looks for requests.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// More tries than any policy of this server allows before it locks.
const TRIES_MAX: u8 = 15;

/// What the endpoint asks of a phone, and where the answer goes: what was done, or why not.
pub(crate) type Command = (Act, oneshot::Sender<std::result::Result<usize, String>>);

/// What the relying party shows the person: the right verification code of a request. These people look into the store for it.
pub(crate) struct Screen {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runtime: Handle,
}

impl Screen {
    fn code(&self, request: RequestId) -> Result<VerificationCode> {
        let row =
            self.runtime.block_on(self.store.request(request, ports::Clock::now(&ports::SystemClock)))?;
        Ok(row.and_then(|row| row.codes).ok_or("a request without a code")?.drawn.right)
    }
}

pub(crate) struct Played {
    habit: Habit,
    phone: Phone,
    screen: Screen,
    /// Requests for which a wrong PIN was typed already.
    mistyped: HashSet<RequestId>,
}

/// A phone's state, gone with the process.
#[derive(Default)]
struct Memory(Option<Vec<u8>>);

impl Storage for Memory {
    fn load(&self) -> std::result::Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.clone())
    }
    fn store(&mut self, image: &[u8]) -> std::result::Result<(), StorageError> {
        self.0 = Some(image.to_vec());
        Ok(())
    }
    fn erase(&mut self) -> std::result::Result<(), StorageError> {
        self.0 = None;
        Ok(())
    }
}

impl Played {
    pub(crate) fn enrol(habit: Habit, server: &str, code: &str, screen: Screen) -> Result<Self> {
        let ports = Ports {
            http: Box::new(NetworkHttp::new(server, &NetworkOptions::default())?),
            key: Box::new(SoftwareKey::in_memory(system_rng())),
            storage: Box::new(Memory::default()),
            clock: Box::new(SystemClock),
            rng: system_rng(),
        };
        let mut phone = Phone::open(ports, PhoneOptions::default())?;
        phone.enrol(SuiteId::Es256, code, &Pin::new(PIN)?)?;
        Ok(Self { habit, phone, screen, mistyped: HashSet::new() })
    }

    /// Types wrong PINs until the server takes no more.
    pub(crate) fn lock(&mut self, server: &str, token: &str) -> Result<()> {
        let asker = RelyingParty::new(Box::new(NetworkHttp::new(server, &NetworkOptions::default())?), token);
        let document = DocumentDigest { name: "set-up".into(), sha256: STANDARD.encode([1; 32]) };
        let request = CreateRequest {
            person: self.habit.person().into(),
            text: "Set-up".into(),
            documents: vec![document],
            ..CreateRequest::default()
        };
        asker.ask(&request, "lock")?;
        for _ in 0..TRIES_MAX {
            let listed = self.phone.requests()?.pop().ok_or("the request of the set-up is not there")?;
            let shown = self.phone.fetch(listed)?;
            match self.phone.approve(shown, &Pin::new(WRONG_PIN)?)? {
                Approved::WrongPin(attempts) if attempts.locked_until.is_some() => {
                    return Ok(());
                }
                Approved::WrongPin(_) => {}
                other => return Err(format!("a wrong PIN ended as {other:?}").into()),
            }
        }
        Err("wrong PINs do not lock".into())
    }

    /// Lets the phone live until the sandbox ends.
    pub(crate) fn play(mut self) -> Sender<Command> {
        let (sender, commands) = channel();
        std::thread::spawn(move || self.live(&commands));
        sender
    }

    fn live(&mut self, commands: &Receiver<Command>) {
        loop {
            match commands.recv_timeout(LOOK_EVERY) {
                Ok((act, told)) => {
                    let _asker_gone = told.send(self.obey(act).map_err(|error| error.to_string()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.follow() {
                        eprintln!("sandbox: {}: {error}", self.habit.person());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn obey(&mut self, act: Act) -> Result<usize> {
        if self.habit != Habit::Obeys {
            let person = self.habit.person();
            return Err(format!("{person} has a habit: only sandbox-obeys does what it is told").into());
        }
        let mut waiting = self.phone.waiting()?;
        if matches!(act, Act::WrongPin | Act::WrongCode) {
            waiting.truncate(1);
        }
        let count = waiting.len();
        for one in waiting {
            match act {
                Act::Approve => self.approve(one, PIN)?,
                Act::Decline => self.phone.decline(one.object.request)?,
                Act::WrongPin => self.approve(one, WRONG_PIN)?,
                Act::WrongCode => self.mistake_code(&one)?,
            }
        }
        Ok(count)
    }

    /// What this phone does by itself.
    fn follow(&mut self) -> Result<()> {
        if matches!(self.habit, Habit::Ignores | Habit::Locked | Habit::Obeys) {
            return Ok(());
        }
        for one in self.phone.waiting()? {
            match self.habit {
                Habit::Declines => self.phone.decline(one.object.request)?,
                Habit::Mistypes if self.mistyped.insert(one.object.request) => {
                    self.approve(one.clone(), WRONG_PIN)?;
                    self.approve(one, PIN)?;
                }
                Habit::MistakesCode if one.codes.is_some() => self.mistake_code(&one)?,
                _ => self.approve(one, PIN)?,
            }
        }
        Ok(())
    }

    fn mistake_code(&mut self, waiting: &Waiting) -> Result<()> {
        let (request, right) = (waiting.object.request, self.screen.code(waiting.object.request)?);
        let codes = waiting.codes.as_ref().ok_or("a request without a code")?.codes;
        let wrong = codes.into_iter().find(|code| *code != right).ok_or("three codes are one")?;
        self.phone.choose_code(request, wrong)?;
        Ok(())
    }

    fn approve(&mut self, waiting: Waiting, pin: &str) -> Result<()> {
        if waiting.codes.is_some() {
            let request = waiting.object.request;
            self.phone.choose_code(request, self.screen.code(request)?)?;
        }
        let shown = self.phone.fetch(waiting.object)?;
        self.phone.approve(shown, &Pin::new(pin)?)?;
        Ok(())
    }
}
