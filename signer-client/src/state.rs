//! The state image: everything the phone keeps between two runs, and nothing that tests a PIN.
//!
//! It never holds a PIN or a check value of one, an unmasked share, a verifying share, the gate key, or the body of an
//! approve or a confirmation. What it holds of the key is the masked share, which every PIN opens to a plausible one.
//! Credentials carry the holder's document, so they rest wrapped by the keystore, and are dropped once they expired; so do the
//! notes of shows.

use std::fmt;

use minicbor::{Decode, Decoder, Encode};
use signer_core::{
    ceremony::Unproven,
    codec,
    credential::{DocumentType, Step},
    device_key::DevicePublicKeyBytes,
    history::HistoryHead,
    ids::RequestId,
    pin::MaskedKey,
    time::UnixSeconds,
    trust::{Life, TRUST_LIST_BYTES_MAX},
    wire::{Presented, Profile, WireSecret},
};
use zeroize::Zeroizing;

use crate::{
    error::{ClientError, StateError},
    ports::{DayKeyHandle, Monotonic},
};

/// Version of the image this program reads and writes.
pub const STATE_VERSION: u32 = 5;
/// Longest image, bytes: as much beside the trust list as with it.
pub const STATE_BYTES_MAX: usize = 256 * 1024 + TRUST_LIST_BYTES_MAX;

/// The state. Written as a whole, atomically, by [`crate::ports::Storage`].
#[derive(Encode, Decode)]
pub(crate) struct State {
    #[n(0)]
    version: u32,
    /// Origin of the server.
    #[n(1)]
    pub(crate) server: String,
    /// Device key this state belongs to.
    #[n(2)]
    pub(crate) device_key: DevicePublicKeyBytes,
    /// Key under which the server signs its time, as it was at enrolment.
    #[n(3)]
    pub(crate) answer_key: DevicePublicKeyBytes,
    /// The living key.
    #[n(4)]
    pub(crate) key: Option<MaskedKey>,
    /// A key whose confirmation was or may have been sent, until the server's proof of it is seen.
    #[n(5)]
    pub(crate) pending: Option<Pending>,
    /// An approval that was or may have been sent, until its outcome is known.
    #[n(6)]
    pub(crate) sent: Option<SentNote>,
    /// Token to present next.
    #[n(7)]
    pub(crate) token: Option<WireSecret>,
    #[n(8)]
    pub(crate) clock: Option<Anchor>,
    /// Newest head of the server's history that was seen.
    #[n(9)]
    pub(crate) history: HistoryHead,
    /// The shows noted, wrapped under the keystore; empty while there is none.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub(crate) shows: Vec<u8>,
    #[n(11)]
    pub(crate) batches: Vec<Batch>,
    /// The newest trust list that is believed.
    #[n(12)]
    pub(crate) trust: Option<KeptTrust>,
    /// The root this phone was given, SEC1 compressed.
    #[cbor(n(13), with = "minicbor::bytes")]
    pub(crate) trust_root: Option<Vec<u8>>,
    /// Tries that presented [`State::token`] and may have had success, for all that is known.
    #[n(14)]
    pub(crate) unheard: u32,
}

/// A trust list.
#[derive(Encode, Decode)]
pub(crate) struct KeptTrust {
    /// The root that signed it, SEC1 compressed.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) root: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) list: Vec<u8>,
    /// Whether it says that credentials live longer for now.
    #[n(2)]
    pub(crate) emergency: bool,
}

/// A key beside the living one.
#[derive(Encode, Decode)]
pub(crate) struct Pending {
    #[n(0)]
    pub(crate) key: Unproven,
    /// Server time when the ceremony was under way.
    #[n(1)]
    pub(crate) since: UnixSeconds,
}

/// What is remembered of an approval on its way: hashes, so that its signatures can be checked when they come late.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SentNote {
    #[n(0)]
    pub(crate) request: RequestId,
    #[n(1)]
    pub(crate) digests: Vec<Digest>,
}

/// A digest of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(crate) struct Digest(#[cbor(n(0), with = "minicbor::bytes")] pub(crate) [u8; 32]);

/// Signed server time with the readings of both clocks when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Anchor {
    #[n(0)]
    pub(crate) server: UnixSeconds,
    #[n(1)]
    pub(crate) wall: UnixSeconds,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) run: [u8; 16],
    #[n(3)]
    pub(crate) elapsed_ms: u64,
    /// Newest signed server time ever seen: no clock is believed below it.
    #[n(4)]
    pub(crate) floor: UnixSeconds,
}

impl Anchor {
    /// The time now by the clock nobody can set; `None` if it was started anew since the anchor.
    pub(crate) fn signed(&self, monotonic: Monotonic) -> Option<UnixSeconds> {
        let elapsed = millis(monotonic).checked_sub(self.elapsed_ms)?;
        (monotonic.run == self.run).then(|| self.server.plus(elapsed / 1000).max(self.floor))
    }

    /// The same; else by the wall clock, corrected as it was then. Good enough for a message, which the server checks.
    pub(crate) fn now(&self, wall: UnixSeconds, monotonic: Monotonic) -> UnixSeconds {
        self.signed(monotonic).unwrap_or_else(|| {
            let off = self.server.distance(self.wall);
            let now = if self.server >= self.wall { wall.plus(off) } else { wall.minus(off) };
            now.max(self.floor)
        })
    }
}

pub(crate) fn millis(monotonic: Monotonic) -> u64 {
    u64::try_from(monotonic.elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Credentials that came together, with the secret of their digits.
#[derive(Encode, Decode)]
pub(crate) struct Batch {
    /// Wrapped under the keystore.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) otp: Vec<u8>,
    #[n(1)]
    pub(crate) credentials: Vec<StoredCredential>,
}

/// One credential.
#[derive(Encode, Decode)]
pub(crate) struct StoredCredential {
    /// Number of the kind of document.
    #[n(0)]
    pub(crate) kind: u8,
    #[n(1)]
    pub(crate) profile: Profile,
    /// The issuer's envelope, wrapped under the keystore.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) wrapped: Vec<u8>,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) day_key: [u8; 16],
    #[n(4)]
    pub(crate) expires: UnixSeconds,
    /// Newest code shown with it; absent while it is unused.
    #[n(5)]
    pub(crate) shown: Option<ShownMark>,
}

/// A code that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ShownMark {
    #[n(0)]
    pub(crate) step: u64,
    #[n(1)]
    pub(crate) turn: u8,
    /// Order of use: among used ones the one used longest ago is used again first.
    #[n(2)]
    pub(crate) since: UnixSeconds,
}

impl StoredCredential {
    pub(crate) const fn handle(&self) -> DayKeyHandle {
        DayKeyHandle(self.day_key)
    }

    pub(crate) fn is_live(&self, now: UnixSeconds, life: Life) -> bool {
        now < self.expires.plus(life.longer())
    }

    pub(crate) fn is_for(&self, kind: DocumentType, profile: Profile) -> bool {
        self.kind == kind.number() && self.profile == profile
    }

    /// Whether it was used, and its code left the screen before the last step.
    pub(crate) fn is_put_away(&self, step: Step) -> bool {
        self.shown.is_some_and(|mark| mark.step.saturating_add(1) < step.0)
    }
}

impl State {
    pub(crate) fn new(
        server: String,
        device_key: DevicePublicKeyBytes,
        answer_key: DevicePublicKeyBytes,
    ) -> Self {
        Self {
            version: STATE_VERSION,
            server,
            device_key,
            answer_key,
            key: None,
            pending: None,
            sent: None,
            token: None,
            unheard: 0,
            clock: None,
            history: HistoryHead::start(device_key.device_id()),
            shows: Vec::new(),
            batches: Vec::new(),
            trust: None,
            trust_root: None,
        }
    }

    /// The image.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::encode(self))
    }

    /// A token came: what presented the one before is settled.
    pub(crate) fn take_token(&mut self, token: WireSecret) {
        (self.token, self.unheard) = (Some(token), 0);
    }

    /// What the next try presents. It counts as unheard until it is answered: to be stored before it is sent.
    pub(crate) fn present(&mut self) -> Result<Presented, StateError> {
        let token = self.token.as_ref().ok_or(StateError::Damaged)?;
        let presented = Presented { token: WireSecret(token.0.duplicate()), unheard: self.unheard };
        self.unheard = self.unheard.saturating_add(1);
        Ok(presented)
    }

    /// The newest try had no success and will have none: a wrong PIN, one that never left the phone, or a refusal that says so.
    /// Other refusals do not: what they answer may have come twice.
    pub(crate) fn heard(&mut self) {
        self.unheard = self.unheard.saturating_sub(1);
    }

    /// Reads an image of this version.
    pub(crate) fn decode(image: &[u8]) -> Result<Self, ClientError> {
        let found = version(image).ok_or(StateError::Damaged)?;
        if found != STATE_VERSION {
            return Err(StateError::Version { found, expected: STATE_VERSION }.into());
        }
        codec::decode(image, STATE_BYTES_MAX).map_err(|_| StateError::Damaged.into())
    }

    /// Removes the credentials of which `keep` says no. Returns whether there were any.
    pub(crate) fn retain(&mut self, keep: impl Fn(&StoredCredential) -> bool) -> bool {
        let before = self.credentials().count();
        for batch in &mut self.batches {
            batch.credentials.retain(&keep);
        }
        self.batches.retain(|batch| !batch.credentials.is_empty());
        self.credentials().count() < before
    }

    /// How long credentials live, by the trust list.
    pub(crate) fn life(&self) -> Life {
        let emergency = self.trust.as_ref().is_some_and(|trust| trust.emergency);
        if emergency { Life::Emergency } else { Life::Standard }
    }

    /// Every credential.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &StoredCredential> {
        self.batches.iter().flat_map(|batch| &batch.credentials)
    }
}

/// The server an image belongs to: what a program must know before it can open the phone.
///
/// # Errors
/// [`ClientError::State`] if the image is damaged or of another version.
pub fn server_of(image: &[u8]) -> Result<String, ClientError> {
    State::decode(image).map(|state| state.server)
}

/// The version comes first in every version's image.
fn version(image: &[u8]) -> Option<u32> {
    let mut decoder = Decoder::new(image);
    decoder.array().ok()??;
    decoder.u32().ok()
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("server", &self.server)
            .field("device", &self.device_key.device_id())
            .field("key", &self.key.as_ref().map(|key| key.context().epoch))
            .field("pending", &self.pending.as_ref().map(|pending| pending.key.context().epoch))
            .field("sent", &self.sent.is_some())
            .field("credentials", &self.credentials().count())
            .finish_non_exhaustive()
    }
}
