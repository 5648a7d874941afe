//! The short codes: bar code and number code, which resolve only while the server has them on display, and the checks that
//! they open.

use std::fmt;

use signer_core::{
    credential::{BarCode, Digits, Step, Turn, digits},
    time::UnixSeconds,
    wire::{AnswerCheck, Check, ChecksQuery, Display, Displayed, EndDisplay},
};

use super::{Code, ShowSession};
use crate::{
    error::{ClientError, Fault},
    phone::Phone,
};

/// After a registration that failed the next one is tried no sooner, seconds.
const TRY_AGAIN_SECONDS: u64 = 10;

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// The QR. It works without network.
    pub code: Code,
    /// Bar code and number code, or why there are none now.
    pub short: Result<ShortCodes, NoShortCodes>,
}

/// The codes that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortCodes {
    /// The number code.
    pub digits: Digits,
    /// The bar code.
    pub bar: BarCode,
}

/// Why only the QR is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoShortCodes {
    /// The holder wants no network used.
    Offline,
    /// The show answers a business's request, which only the QR does.
    Answer,
    /// The server cannot be reached.
    Unreachable,
    /// It said no, or what it said is not believed; a sentence.
    Refused(String),
}

impl fmt::Display for NoShortCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("no network is used"),
            Self::Answer => f.write_str("it answers a request"),
            Self::Unreachable => f.write_str("the server cannot be reached"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// What a session knows of its short codes.
#[derive(Default)]
pub(super) enum Registration {
    /// Never registered.
    #[default]
    None,
    /// Tried without success; not tried again before `again`, unless the code changes.
    Failed { step: Step, turn: Turn, again: UnixSeconds, why: NoShortCodes },
    /// On display.
    Live { step: Step, turn: Turn, short: ShortCodes },
}

impl Phone {
    /// The codes to be on the screen now: the QR always, the short codes while the server has them on display. Registers
    /// anew at each step and after a use, where the server may name a later turn: then the QR is of that turn too. To be
    /// called about once a second; it uses the network only when there is something to register. Where that fails the
    /// screen says why, and the QR goes on.
    ///
    /// # Errors
    /// As [`Self::code`]: what fails on the phone. Not what fails on the network.
    pub fn display(&mut self, session: &mut ShowSession) -> Result<Screen, ClientError> {
        let now = self.signed_now()?;
        self.follow_step(session, now)?;
        if session.showing.request().is_some() {
            return Ok(Screen { code: self.code(session)?, short: Err(NoShortCodes::Answer) });
        }
        if session.wants_registration(now) {
            self.register(session, now)?;
        }
        let short = match &session.registration {
            Registration::Live { short, .. } => Ok(*short),
            Registration::Failed { why, .. } => Err(why.clone()),
            Registration::None => Err(NoShortCodes::Unreachable),
        };
        Ok(Screen { code: self.code(session)?, short })
    }

    /// Puts the code away: its short codes end at once instead of by themselves after the step.
    ///
    /// # Errors
    /// [`ClientError`] if the server was not told.
    pub fn end_display(&mut self, session: ShowSession) -> Result<(), ClientError> {
        let ShowSession { credential, registration, .. } = session;
        if matches!(registration, Registration::Live { .. }) {
            let status = credential.claims().status();
            self.exchange_once(&EndDisplay { list: status.list, index: status.index })?;
        }
        Ok(())
    }

    /// Verifiers that wait for the holder's word, oldest first. Each is to be shown with name, what it asks for, and the two
    /// digits that stand on the verifier's screen too.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn checks(&mut self) -> Result<Vec<Check>, ClientError> {
        self.require_key()?;
        let now = self.now();
        let pending = self.exchange_once(&ChecksQuery {})?;
        Ok(pending.checks.into_iter().filter(|check| now < check.expires).collect())
    }

    /// The holder's word on a check that was shown. A yes lets that verifier alone learn what it asked for, once.
    ///
    /// # Errors
    /// [`ClientError`]; `not_found` among the problems if it has ended.
    pub fn answer_check(&mut self, check: &Check, allow: bool) -> Result<(), ClientError> {
        self.require_key()?;
        self.exchange(&AnswerCheck::to(check, allow))?;
        Ok(())
    }

    fn register(&mut self, session: &mut ShowSession, now: UnixSeconds) -> Result<(), ClientError> {
        let (step, asked) = (session.step, session.turn);
        let status = session.credential.claims().status();
        let display =
            Display { list: status.list, index: status.index, step, turn: asked, profile: session.profile() };
        let displayed = self.exchange_once(&display).and_then(|displayed| session.accept(&displayed));
        session.registration = match displayed {
            Ok((turn, short)) => {
                if turn != asked {
                    (session.turn, session.code) = (turn, None);
                    self.mark(session)?;
                }
                Registration::Live { step, turn, short }
            }
            Err(error) => {
                let why = match error.fault() {
                    Fault::Network => NoShortCodes::Unreachable,
                    Fault::Refused | Fault::Server => NoShortCodes::Refused(error.to_string()),
                    Fault::Caller | Fault::Phone => return Err(error),
                };
                Registration::Failed { step, turn: asked, again: now.plus(TRY_AGAIN_SECONDS), why }
            }
        };
        Ok(())
    }
}

impl ShowSession {
    fn wants_registration(&self, now: UnixSeconds) -> bool {
        match self.registration {
            Registration::None => true,
            Registration::Live { step, turn, .. } => (step, turn) != (self.step, self.turn),
            Registration::Failed { step, turn, again, .. } => {
                (step, turn) != (self.step, self.turn) || now >= again
            }
        }
    }

    /// The phone makes the digits too, so that they are the ones in the QR.
    fn accept(&self, displayed: &Displayed) -> Result<(Turn, ShortCodes), ClientError> {
        let status = self.credential.claims().status();
        let own = digits(&self.otp, status, self.step, displayed.turn);
        if displayed.turn < self.turn || displayed.digits != own {
            return Err(ClientError::ServerMisbehaved("the digits on display are not this credential's"));
        }
        Ok((displayed.turn, ShortCodes { digits: own, bar: displayed.bar }))
    }
}
