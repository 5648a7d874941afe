//! The thread that speaks to the token: its session and login, and what an error of the library means.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    object::ObjectHandle,
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use zeroize::Zeroizing;

use super::{Job, TokenError, keys::Name};

/// How often a token that does not work is tried again.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// File in the data folder: see [`Desk::refused_file`].
const REFUSED_FILE: &str = "hsm-pin-refused";
/// How often a token that nobody asks is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why something did not work at the seat.
#[derive(Debug)]
pub(super) enum Failed {
    /// The library said so.
    Library(Error),
    /// It is no fault of the session.
    Token(TokenError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// An open session, logged in, and the keys it has found.
pub(super) struct Seat {
    pub(super) session: Session,
    /// By label and id.
    pub(super) found: HashMap<Name, ObjectHandle>,
}

impl Seat {
    /// Speaks to the token without a key.
    pub(super) fn check(&self) -> Result<(), Failed> {
        let mut bytes = [0; 8];
        // More than a look at the session, which a library may answer by itself.
        Ok(self.session.generate_random_slice(&mut bytes)?)
    }
}

/// The thread's own: where the token is, and the seat, if there is one.
pub(super) struct Desk {
    module: PathBuf,
    pin_file: PathBuf,
    token: String,
    /// Loaded once.
    library: Option<Pkcs11>,
    seat: Option<Seat>,
    /// The library is to be begun anew.
    lost: bool,
    works: Arc<AtomicBool>,
    /// Somebody waited in vain, and this thread did nothing since.
    late: Arc<AtomicBool>,
    /// When the token was last tried in vain, and what was found.
    failed: Option<(Instant, TokenError)>,
    /// Which version of the PIN's file the token refused.
    refused: Option<String>,
    /// Where that is written down: a server that is started again and again must not use up the tries.
    refused_file: PathBuf,
}

impl Desk {
    pub(super) fn new(
        (module, pin_file): (&Path, &Path),
        token: &str,
        folder: &Path,
        works: Arc<AtomicBool>,
        late: Arc<AtomicBool>,
    ) -> Self {
        let (module, pin_file, token) = (module.into(), pin_file.into(), token.into());
        let refused_file = folder.join(REFUSED_FILE);
        Self {
            module,
            pin_file,
            token,
            library: None,
            seat: None,
            lost: false,
            works,
            late,
            failed: None,
            refused: None,
            refused_file,
        }
    }

    /// Serves until nobody can ask any more.
    pub(super) fn serve(mut self, jobs: &Receiver<Job>) {
        loop {
            // Whoever waited in vain: the library returned since.
            self.late.store(false, Ordering::Relaxed);
            match jobs.recv_timeout(LOOK_EVERY) {
                Ok(job) => job(&mut self),
                // Found out before somebody needs it, and mended though nobody asks.
                Err(RecvTimeoutError::Timeout) if self.seat.is_some() || self.failed.is_some() => {
                    let _noted = self.repeat(|seat| seat.check());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Does what may be done twice: with a new session, if the one before this was lost.
    pub(super) fn repeat<T>(
        &mut self,
        work: impl Fn(&mut Seat) -> Result<T, Failed>,
    ) -> Result<T, TokenError> {
        let opened_before = self.seat.is_some();
        let mut done = self.attempt(&work);
        if opened_before && matches!(done, Err(TokenError::Unavailable(_))) {
            done = self.attempt(&work);
        }
        self.note(&done);
        done
    }

    /// Does what leaves something behind.
    pub(super) fn once<T>(
        &mut self,
        work: impl FnOnce(&mut Seat) -> Result<T, Failed>,
    ) -> Result<T, TokenError> {
        let done = self.attempt(work);
        self.note(&done);
        done
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&mut Seat) -> Result<T, Failed>) -> Result<T, TokenError> {
        let seat = self.seat()?;
        match work(seat) {
            Ok(done) => Ok(done),
            Err(Failed::Token(error)) => Err(error),
            // The others shall not suffer from what one wants.
            Err(Failed::Library(error)) if !is_lost(&error) && seat.check().is_ok() => {
                Err(TokenError::Refused(error.to_string()))
            }
            Err(Failed::Library(error)) => {
                (self.seat, self.lost) = (None, true);
                Err(TokenError::Unavailable(error.to_string()))
            }
        }
    }

    fn note<T>(&mut self, done: &Result<T, TokenError>) {
        let fails = match done {
            Err(error @ (TokenError::Unavailable(_) | TokenError::Pin(_) | TokenError::PinFile { .. })) => {
                Some(error)
            }
            _ => None,
        };
        self.works.store(fails.is_none(), Ordering::Relaxed);
        match (fails, &mut self.failed) {
            (Some(error), None) => {
                tracing::error!(%error, "THE TOKEN DOES NOT WORK");
                self.failed = Some((Instant::now(), error.clone()));
            }
            (Some(error), Some((_, known))) => known.clone_from(error),
            (None, Some(_)) => {
                tracing::info!("the token works again");
                self.failed = None;
            }
            (None, None) => {}
        }
    }

    fn seat(&mut self) -> Result<&mut Seat, TokenError> {
        if self.seat.is_none() {
            if let Some((at, error)) = &mut self.failed {
                if at.elapsed() < TRY_EVERY {
                    return Err(error.clone());
                }
                *at = Instant::now();
            }
            self.seat = Some(self.sit_down()?);
        }
        self.seat.as_mut().ok_or_else(|| TokenError::Unavailable("no session".into()))
    }

    /// Finds the token and logs in, after a loss with the library begun anew: it may not see a token that came back otherwise.
    fn sit_down(&mut self) -> Result<Seat, TokenError> {
        let unavailable = |what: &str, error: Error| TokenError::Unavailable(format!("{what}: {error}"));
        let library = match &self.library {
            Some(library) => library.clone(),
            None => {
                let what = format!("hsm.module {}", self.module.display());
                let library = Pkcs11::new(&self.module).map_err(|error| unavailable(&what, error))?;
                // For good: a library may have threads, under which it must not be unloaded.
                self.library.insert(library).clone()
            }
        };
        if self.lost {
            let _ended = library.clone().finalize();
        }
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(unavailable("C_Initialize", error)),
        }
        let seat = self.log_in(&library);
        self.lost = seat.is_err();
        seat
    }

    fn log_in(&mut self, library: &Pkcs11) -> Result<Seat, TokenError> {
        let slot = self.slot(library)?;
        let unavailable = |error: Error| TokenError::Unavailable(error.to_string());
        let info = library.get_token_info(slot).map_err(unavailable)?;
        if info.user_pin_locked() {
            return Err(TokenError::Pin("it is locked: have the token's officer unlock it".into()));
        }
        let (pin, version) = self.pin()?;
        let refused = fs::read_to_string(&self.refused_file).ok();
        if [&refused, &self.refused].into_iter().flatten().any(|refused| *refused == version) {
            return Err(TokenError::Pin(format!("it did before, as {} says", self.refused_file.display())));
        }
        if info.user_pin_final_try() {
            let text = "one try is left, which this server does not use up: log in by other means first";
            return Err(TokenError::Pin(text.into()));
        }
        let session = library.open_rw_session(slot).map_err(unavailable)?;
        let text = std::str::from_utf8(&pin).map_err(|_| TokenError::Pin("it is not text".into()))?;
        let error = match session.login(UserType::User, Some(&AuthPin::from(text))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                self.refused = None;
                let _not_there = fs::remove_file(&self.refused_file);
                return Ok(Seat { session, found: HashMap::new() });
            }
            Err(error) => error,
        };
        let tries_fewer = || {
            library.get_token_info(slot).is_ok_and(|info| info.user_pin_count_low() || info.user_pin_locked())
        };
        if is_lost(&error) || is_vague(&error) && !tries_fewer() {
            return Err(unavailable(error));
        }
        // Libraries have many words for a wrong PIN.
        self.note_refused(version);
        Err(TokenError::Pin(error.to_string()))
    }

    /// Writes down, durably, that this version of the PIN's file is not to be tried again.
    fn note_refused(&mut self, version: String) {
        let path = &self.refused_file;
        let write = || {
            let mut file = fs::File::create(path)?;
            file.write_all(version.as_bytes())?;
            file.sync_all()
        };
        if let Err(error) = write() {
            tracing::error!(%error, path = %path.display(), "not written down that a PIN is refused: do not restart");
        }
        self.refused = Some(version);
    }

    /// The slot with the token of this label: exactly one.
    fn slot(&self, library: &Pkcs11) -> Result<Slot, TokenError> {
        let unavailable = |error: Error| TokenError::Unavailable(error.to_string());
        let mut found = None;
        for slot in library.get_slots_with_token().map_err(unavailable)? {
            // A slot that cannot be read now is not the one that is looked for.
            if library.get_token_info(slot).is_ok_and(|info| info.label() == self.token)
                && found.replace(slot).is_some()
            {
                return Err(TokenError::Unavailable(format!("two tokens have the label {:?}", self.token)));
            }
        }
        found.ok_or_else(|| TokenError::Unavailable(format!("no token has the label {:?}", self.token)))
    }

    /// The PIN, and which version of its file it is from: nothing that could be tried out.
    fn pin(&self) -> Result<(Zeroizing<Vec<u8>>, String), TokenError> {
        let path = &self.pin_file;
        let read = || {
            let file = fs::metadata(path)?;
            let written = file.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let bytes = Zeroizing::new(fs::read(path)?);
            Ok((
                Zeroizing::new(bytes.trim_ascii().to_vec()),
                format!("{} ns, {} bytes\n", written.as_nanos(), file.len()),
            ))
        };
        read().map_err(|source| TokenError::PinFile { path: path.clone(), source: Arc::new(source) })
    }
}

/// What libraries say of a device that fails, and some of anything.
const fn is_vague(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, _))
}

/// What libraries say when session or device are gone, whatever they were asked.
pub(super) const fn is_lost(error: &Error) -> bool {
    let Error::Pkcs11(code, _) = error else { return false };
    matches!(
        code,
        RvError::CryptokiNotInitialized
            | RvError::DeviceError
            | RvError::DeviceMemory
            | RvError::DeviceRemoved
            | RvError::HostMemory
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::OperationActive
            | RvError::SessionClosed
            | RvError::SessionCount
            | RvError::SessionHandleInvalid
            | RvError::SlotIdInvalid
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn
    )
}
