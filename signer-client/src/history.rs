//! The holder's history: what the server tells of this phone, checked against what this phone has seen, and what the phone
//! itself notes of its shows.

use minicbor::{Decode, Encode};
use signer_core::{
    approval::NAME_BYTES_MAX,
    codec::{self, Label},
    history::{Entry, HistoryCheck, HistoryFault, HistoryHead, HistoryKey},
    lost_code::{HolderKeys, LostCode},
    time::UnixSeconds,
    wire::{HISTORY_PAGE_MAX, HistoryQuery, NumberedEntry, Profile},
    wrap::Location,
};
use zeroize::Zeroizing;

use crate::{
    error::{ClientError, StateError},
    phone::Phone,
    ports::Purpose,
};

/// Most shows a phone remembers; the oldest is forgotten first.
pub const SHOWS_MAX: usize = 200;
/// Most pages of new entries that are read at once; the next call goes on.
const PAGES_MAX: u32 = 256;
/// Longest list of shows, bytes.
const SHOWS_BYTES_MAX: usize = 64 * 1024;

/// A show, as the phone notes it: a code was on its screen. Who scanned it offline the phone cannot know.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ShowNote {
    /// When it began, by the phone's corrected clock.
    #[n(0)]
    pub at: UnixSeconds,
    /// What was shown.
    #[n(1)]
    pub profile: Profile,
    /// The business whose request was answered; `None` for an unknown reader.
    #[n(2)]
    pub reader: Option<Label<NAME_BYTES_MAX>>,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryLine {
    /// Told by the server.
    Told {
        /// Its number.
        number: u64,
        /// The entry; `None` if it cannot be read: not sealed to this phone, or of a kind this program does not know.
        entry: Option<Entry>,
    },
    /// Noted by this phone.
    Shown(ShowNote),
}

/// The newest lines, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The lines.
    pub lines: Vec<HistoryLine>,
    /// What the server did to the history this phone has seen. Its entries are left out then, and the phone goes on
    /// remembering what it has seen; see [`Phone::accept_history`].
    pub fault: Option<HistoryFault>,
    /// The newest head the phone remembers.
    pub head: HistoryHead,
}

impl Phone {
    /// The newest `most` lines of what the server tells and this phone noted. The server's entries are checked against the
    /// newest head this phone has seen; the head they lead to is then remembered.
    ///
    /// # Errors
    /// [`ClientError`]; what the server did to the history is in [`History::fault`] instead.
    pub fn history(&mut self, most: usize) -> Result<History, ClientError> {
        let (told, fault) = match self.read_history(most) {
            Ok(told) => (told, None),
            Err(ClientError::History(fault)) => (Vec::new(), Some(fault)),
            Err(error) => return Err(error),
        };
        let key = self.history_key()?;
        let told = told.iter().map(|entry| (entry.number, key.open(&entry.sealed))).collect();
        let mut lines = merge(told, self.shows()?);
        lines.drain(..lines.len().saturating_sub(most));
        Ok(History { lines, fault, head: self.require_state()?.history })
    }

    /// Takes the server's history as it is now for the one to compare with: after its operator has explained a fault.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn accept_history(&mut self) -> Result<HistoryHead, ClientError> {
        let page = self.exchange(&HistoryQuery { after: u64::MAX, limit: 1 })?;
        self.state_mut()?.history = page.head;
        self.save()?;
        Ok(page.head)
    }

    /// The shows this phone noted, oldest first. Uses no network.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn shows(&self) -> Result<Vec<ShowNote>, ClientError> {
        let wrapped = &self.require_state()?.shows;
        if wrapped.is_empty() {
            return Ok(Vec::new());
        }
        let shows = self.unwrap(&SHOWS, wrapped)?;
        codec::decode(&shows, SHOWS_BYTES_MAX).map_err(|_| StateError::Damaged.into())
    }

    /// The lost code: with it anybody can report this phone lost, and do nothing else. Shown once, after the enrolment; it
    /// is not stored, but made anew by the keystore.
    ///
    /// # Errors
    /// [`ClientError::Keystore`]
    pub fn lost_code(&self) -> Result<LostCode, ClientError> {
        let device = self.ports.key.public_key()?.device_id();
        Ok(LostCode::derive(&self.ports.key.derive(Purpose::LostCode, device.as_bytes())?))
    }

    /// What this phone leaves with a server for its holder.
    pub(crate) fn holder_keys(&self) -> Result<HolderKeys, ClientError> {
        Ok(HolderKeys { history: self.history_key()?.public(), lost_code: self.lost_code()?.hash() })
    }

    /// Notes a show; the caller saves.
    pub(crate) fn note_show(
        &mut self,
        profile: Profile,
        reader: Option<Label<NAME_BYTES_MAX>>,
    ) -> Result<(), ClientError> {
        let mut shows = self.shows()?;
        shows.push(ShowNote { at: self.now(), profile, reader });
        shows.drain(..shows.len().saturating_sub(SHOWS_MAX));
        let wrapped = self.wrap(&SHOWS, &Zeroizing::new(codec::encode(&shows)))?;
        self.state_mut()?.shows = wrapped;
        Ok(())
    }

    fn history_key(&self) -> Result<HistoryKey, ClientError> {
        let device = self.ports.key.public_key()?.device_id();
        Ok(HistoryKey::derive(&self.ports.key.derive(Purpose::History, device.as_bytes())?, device))
    }

    /// Reads from `most` entries before the newest known one to the server's newest, remembers the head, and gives the last
    /// `most` entries.
    fn read_history(&mut self, most: usize) -> Result<Vec<NumberedEntry>, ClientError> {
        let state = self.require_state()?;
        let (device, known) = (state.device_key.device_id(), state.history);
        let from = known.number.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
        let mut check = HistoryCheck::new(device, known, from);
        let mut told = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(after) = check.wants() else { break };
            let page = self.exchange(&HistoryQuery { after, limit: HISTORY_PAGE_MAX })?;
            told.extend(check.page(page).map_err(ClientError::History)?);
            told.drain(..told.len().saturating_sub(most));
        }
        let reached = check.reached().filter(|reached| reached.number > known.number);
        if let Some(reached) = reached {
            self.state_mut()?.history = reached;
            self.save()?;
        }
        Ok(told)
    }
}

/// Where the list of shows rests.
const SHOWS: Location<'static> = Location { table: "phone", row: b"shows", column: "shows", epoch: 0 };

/// Both in the order of time; what the server tells stays in the order of its numbers.
fn merge(told: Vec<(u64, Option<Entry>)>, shows: Vec<ShowNote>) -> Vec<HistoryLine> {
    let mut lines = Vec::with_capacity(told.len().saturating_add(shows.len()));
    let mut shows = shows.into_iter().peekable();
    let mut latest = UnixSeconds(0);
    for (number, entry) in told {
        latest = entry.as_ref().map_or(latest, |entry| entry.at.max(latest));
        while let Some(show) = shows.next_if(|show| show.at < latest) {
            lines.push(HistoryLine::Shown(show));
        }
        lines.push(HistoryLine::Told { number, entry });
    }
    lines.extend(shows.map(HistoryLine::Shown));
    lines
}
