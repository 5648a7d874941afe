//! The phone: one enrolment with one server, over the ports. Opening it touches no network.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::VerifyingKey;
use signer_core::{
    codec,
    device_key::{DevicePublicKeyBytes, DeviceSignature},
    ids::DeviceId,
    pin::{Pin, PinCost, PinMask, Salt, stretch},
    secret::SecretBytes,
    suite::{GroupPublicKey, KeyContext},
    time::UnixSeconds,
    wire::{
        AnswerKey, DeviceStatus, Envelope, Exchange, Problem, ProblemCode, REPLY_BYTES_MAX, Retry,
        SignedTime, StatusQuery, time_to_sign,
    },
};
use zeroize::Zeroizing;

use crate::{
    error::{ClientError, StateError},
    ports::{EXCHANGE_TIMEOUT, HttpRequest, HttpResponse, Ports, Purpose, TransportError},
    state::{Anchor, State, StoredCredential, millis},
};

/// What can be chosen about a phone.
#[derive(Debug, Clone, Copy)]
pub struct PhoneOptions {
    /// Cost of stretching a PIN for the next key.
    pub pin_cost: PinCost,
    /// Length of a code's step; anything but the standard is for demonstrations.
    pub step_rule: signer_core::credential::StepRule,
    /// The root that signs the first trust list; remembered from the first time. Without one, that of the first list which the
    /// server gives is believed.
    pub trust_root: Option<VerifyingKey>,
    /// Waits between two sendings of the same bytes, one per repetition.
    pub retry_waits: &'static [Duration],
}

impl Default for PhoneOptions {
    fn default() -> Self {
        Self {
            pin_cost: PinCost::FLOOR,
            step_rule: signer_core::credential::StepRule::STANDARD,
            trust_root: None,
            retry_waits: RETRY_WAITS,
        }
    }
}

const RETRY_WAITS: &[Duration] = &[
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1500),
    Duration::from_millis(3000),
];

/// How long to wait for an exchange that is tried again soon anyway, while a person looks at a screen.
const QUICK_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to wait for an answer, and how often to ask for it again.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    waits: &'static [Duration],
}

/// A signed time that took longer than this to come is not used.
const ANCHOR_ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// One installation.
///
/// Only one may be open on a storage at a time, in whichever process: two look like a phone and its copy, and the server
/// freezes both.
pub struct Phone {
    pub(crate) ports: Ports,
    pub(crate) options: PhoneOptions,
    pub(crate) state: Option<State>,
}

/// What an enrolled phone knows of its key without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolled {
    /// The installation.
    pub device: DeviceId,
    /// The key.
    pub context: KeyContext,
    /// Its group public key.
    pub public_key: GroupPublicKey,
}

impl Phone {
    /// Opens the stored state, if there is one, and drops credentials that have expired. No network is used.
    ///
    /// # Errors
    /// [`ClientError::State`] if the image is of another version, damaged, or belongs to another keystore or server.
    pub fn open(ports: Ports, options: PhoneOptions) -> Result<Self, ClientError> {
        let state = match ports.storage.load()?.map(Zeroizing::new) {
            Some(image) => Some(State::decode(&image)?),
            None => None,
        };
        if let Some(state) = &state {
            if state.device_key != ports.key.public_key()? {
                return Err(StateError::OtherDevice.into());
            }
            if state.server != ports.http.server() {
                return Err(StateError::OtherServer.into());
            }
        }
        let mut phone = Self { ports, options, state };
        if phone.drop_expired() {
            phone.save()?;
            phone.drop_day_keys()?;
        }
        Ok(phone)
    }

    /// The key, if the phone is enrolled.
    #[must_use]
    pub fn enrolled(&self) -> Option<Enrolled> {
        let key = self.state.as_ref()?.key.as_ref()?;
        let context = *key.context();
        Some(Enrolled { device: context.device, context, public_key: *key.public_key() })
    }

    /// Whether a key waits for the server's proof: the end of an enrolment or a PIN change was sent and no answer came.
    /// [`Self::status`] settles it.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.pending.is_some())
    }

    /// Origin of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        self.ports.http.server()
    }

    /// Removes the enrolment from this phone: state, device key, day keys. The server is not told.
    ///
    /// # Errors
    /// [`ClientError::Storage`], [`ClientError::Keystore`].
    pub fn forget(&mut self) -> Result<(), ClientError> {
        self.ports.storage.erase()?;
        self.state = None;
        Ok(self.ports.key.reset()?)
    }

    /// State of the installation at the server. Settles an undecided key.
    ///
    /// # Errors
    /// [`ClientError`]; [`StateError::OtherShares`] if an old copy of the phone's state was restored.
    pub fn status(&mut self) -> Result<DeviceStatus, ClientError> {
        self.require_state()?;
        let status = self.exchange(&StatusQuery {})?;
        self.settle_with(&status)?;
        Ok(status)
    }

    /// The time by the phone's corrected clock: signed server time, carried on by the clock nobody can set; after a restart
    /// of the phone, until [`Self::synchronise`], by the wall clock.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        let wall = self.ports.clock.wall();
        let anchor = self.state.as_ref().and_then(|state| state.clock);
        anchor.map_or(wall, |anchor| anchor.now(wall, self.ports.clock.monotonic()))
    }

    /// The time without the wall clock, which the holder can set.
    ///
    /// # Errors
    /// [`StateError::NoSignedTime`] if no signed time came since the phone was switched on.
    pub(crate) fn signed_now(&self) -> Result<UnixSeconds, ClientError> {
        let anchor = self.require_state()?.clock;
        let now = anchor.and_then(|anchor| anchor.signed(self.ports.clock.monotonic()));
        now.ok_or_else(|| StateError::NoSignedTime.into())
    }

    /// Asks for signed server time and sets the corrected clock by it; and for a newer trust list, of which
    /// [`Self::refresh_trust_list`] tells more.
    ///
    /// # Errors
    /// [`ClientError::ServerMisbehaved`] if the time is not signed under the pinned key, or goes back. A trust list that does
    /// not come or is not believed is no error: the one believed stays.
    pub fn synchronise(&mut self) -> Result<UnixSeconds, ClientError> {
        self.anchor()?;
        self.save()?;
        match self.refresh_trust_list() {
            Err(error @ (ClientError::State(_) | ClientError::Storage(_))) => return Err(error),
            _newer_or_not => {}
        }
        Ok(self.now())
    }

    /// Waits by the phone's clock.
    pub fn sleep(&self, time: Duration) {
        self.ports.clock.sleep(time);
    }

    // Below: what the modules of the operations share.

    pub(crate) fn require_state(&self) -> Result<&State, ClientError> {
        self.state.as_ref().ok_or_else(|| StateError::NotEnrolled.into())
    }

    pub(crate) fn state_mut(&mut self) -> Result<&mut State, ClientError> {
        self.state.as_mut().ok_or_else(|| StateError::NotEnrolled.into())
    }

    pub(crate) fn require_key(&self) -> Result<Enrolled, ClientError> {
        self.enrolled().ok_or_else(|| StateError::NotEnrolled.into())
    }

    /// Writes the state durably. Nothing that depends on it may be sent before this returns.
    pub(crate) fn save(&mut self) -> Result<(), ClientError> {
        self.drop_expired();
        match &self.state {
            Some(state) => Ok(self.ports.storage.store(&state.encode())?),
            None => Ok(()),
        }
    }

    fn drop_expired(&mut self) -> bool {
        let now = self.now();
        self.state.as_mut().is_some_and(|state| {
            let life = state.life();
            state.retain(|stored| stored.is_live(now, life))
        })
    }

    /// Deletes every day key whose credential is gone.
    pub(crate) fn drop_day_keys(&mut self) -> Result<(), ClientError> {
        let keep: Vec<_> = self.require_state()?.credentials().map(StoredCredential::handle).collect();
        Ok(self.ports.key.keep_day_keys(&keep)?)
    }

    /// The mask of a PIN for one key: stretched, then bound to this phone.
    pub(crate) fn mask(
        &self,
        pin: &Pin,
        salt: &Salt,
        cost: PinCost,
        context: &KeyContext,
    ) -> Result<PinMask, ClientError> {
        let stretched = stretch(pin, salt, cost)
            .map_err(|_| ClientError::Keystore(crate::ports::KeystoreError("not enough memory".into())))?;
        Ok(PinMask::derive(&self.ports.key.bind(&stretched)?, context))
    }

    /// A secret of this phone that differs each time, mixed into nonces.
    pub(crate) fn hedge(&mut self) -> Result<SecretBytes<32>, ClientError> {
        let monotonic = self.ports.clock.monotonic();
        let mut input = [0; 64];
        let (run, rest) = input.split_at_mut(16);
        let (elapsed, random) = rest.split_at_mut(16);
        run.copy_from_slice(&monotonic.run);
        elapsed.copy_from_slice(&monotonic.elapsed.as_nanos().to_be_bytes());
        self.ports.rng.fill_bytes(random);
        Ok(self.ports.key.derive(Purpose::Hedge, &input)?)
    }

    /// Sends a body and takes the reply. See [`Self::exchange_counted`].
    pub(crate) fn exchange<E: Exchange>(&mut self, body: &E) -> Result<E::Reply, ClientError> {
        self.exchange_counted(body).1
    }

    /// Sends a body, resending the same bytes while that may help, and tells how often it was sent. A clock problem is
    /// answered once by signed time and a new envelope around the same body.
    pub(crate) fn exchange_counted<E: Exchange>(&mut self, body: &E) -> (u32, Result<E::Reply, ClientError>) {
        self.exchange_with(body, self.patience())
    }

    /// Sends a body once and does not wait for long: for what is asked again soon anyway, while a person looks on.
    pub(crate) fn exchange_once<E: Exchange>(&mut self, body: &E) -> Result<E::Reply, ClientError> {
        self.exchange_with(body, Patience { timeout: QUICK_TIMEOUT, waits: &[] }).1
    }

    const fn patience(&self) -> Patience {
        Patience { timeout: EXCHANGE_TIMEOUT, waits: self.options.retry_waits }
    }

    fn exchange_with<E: Exchange>(
        &mut self,
        body: &E,
        patience: Patience,
    ) -> (u32, Result<E::Reply, ClientError>) {
        let body = Zeroizing::new(codec::encode(body));
        let mut sent = 0;
        let mut answer = self.send_sealed::<E>(&body, patience, &mut sent);
        if answer.as_ref().is_err_and(|error| error.is_problem(ProblemCode::Clock)) {
            answer = match self.anchor().and_then(|()| self.save()) {
                Ok(()) => self.send_sealed::<E>(&body, patience, &mut sent),
                Err(error) => Err(error),
            };
        }
        (sent, answer)
    }

    fn send_sealed<E: Exchange>(
        &self,
        body: &[u8],
        patience: Patience,
        sent: &mut u32,
    ) -> Result<E::Reply, ClientError> {
        let request = HttpRequest { timeout: patience.timeout, ..self.sealed::<E>(body)? };
        let reply = self.send(&request, "application/cbor", patience.waits, sent)?;
        codec::decode(&reply, REPLY_BYTES_MAX)
            .map_err(|_| ClientError::ServerMisbehaved("a reply is not of the agreed form"))
    }

    /// A body in its envelope, signed by the device key.
    pub(crate) fn sealed<E: Exchange>(&self, body: &[u8]) -> Result<HttpRequest, ClientError> {
        let device_key = self.require_state()?.device_key;
        let (device, time) = (device_key.device_id(), self.now());
        let signature = self.ports.key.sign(Envelope::to_sign::<E>(device, time, body))?;
        let envelope = Envelope::seal::<E>(device, time, body.to_vec(), signature)
            .ok_or(ClientError::Usage("the message is longer than the protocol allows"))?;
        let path = format!("/device/v1/{}", E::OPERATION.path());
        Ok(HttpRequest::post(path, "application/cbor", Zeroizing::new(envelope)))
    }

    /// Sends the same bytes until an answer comes that more sending will not change.
    fn send(
        &self,
        request: &HttpRequest,
        content_type: &str,
        waits: &[Duration],
        sent: &mut u32,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let mut waits = waits.iter();
        loop {
            *sent += 1;
            let result = self.ports.http.send(request).map_err(ClientError::from);
            let result = result.and_then(|response| body_of(response, content_type));
            match (result, waits.next()) {
                (Err(error), Some(wait)) if worth_resending(&error) => self.ports.clock.sleep(*wait),
                (result, _) => return result,
            }
        }
    }

    pub(crate) fn get_json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let body =
            self.send(&HttpRequest::get(path), "application/json", self.options.retry_waits, &mut 0)?;
        serde_json::from_slice(&body)
            .map_err(|_| ClientError::ServerMisbehaved("an answer is not of the agreed form"))
    }

    /// What anybody may have from the server, without patience.
    pub(crate) fn get_quickly(
        &self,
        path: &str,
        content_type: &str,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let request = HttpRequest { timeout: QUICK_TIMEOUT, ..HttpRequest::get(path) };
        self.send(&request, content_type, &[], &mut 0)
    }

    /// The key that signs the server's time, from the server itself: asked for at enrolment only, then pinned.
    pub(crate) fn fetch_answer_key(&self) -> Result<DevicePublicKeyBytes, ClientError> {
        let answer: AnswerKey = self.get_json("/v1/answer-key")?;
        let key = BASE64_STANDARD.decode(&answer.public_key).ok().and_then(|bytes| bytes.try_into().ok());
        key.map(DevicePublicKeyBytes)
            .filter(|key| key.parse().is_some())
            .ok_or(ClientError::ServerMisbehaved("its answer key is not a key"))
    }

    /// Asks for signed time with a fresh nonce. The time is counted from when the answer came, so the phone is late by at
    /// most the way back, never early.
    pub(crate) fn anchor(&mut self) -> Result<(), ClientError> {
        let mut nonce = [0; 16];
        self.ports.rng.fill_bytes(&mut nonce);
        let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let asked = self.ports.clock.monotonic();
        let signed: SignedTime = self.get_json(&format!("/v1/time?nonce={nonce}"))?;
        let (wall, monotonic) = (self.ports.clock.wall(), self.ports.clock.monotonic());
        let state = self.state_mut()?;
        let signature =
            BASE64_STANDARD.decode(&signed.signature).ok().and_then(|bytes| bytes.try_into().ok());
        let valid = state.answer_key.parse().zip(signature).is_some_and(|(key, signature)| {
            key.verify(time_to_sign(signed.time, &signed.nonce), &DeviceSignature(signature))
        });
        if !valid || signed.nonce != nonce {
            return Err(ClientError::ServerMisbehaved(
                "its time is not signed by the key pinned at enrolment",
            ));
        }
        let server = UnixSeconds(signed.time);
        let floor = state.clock.map_or(UnixSeconds(0), |anchor| anchor.floor);
        if server < floor {
            return Err(ClientError::ServerMisbehaved("its signed time went back"));
        }
        if monotonic.elapsed.saturating_sub(asked.elapsed) > ANCHOR_ROUND_TRIP_MAX {
            return Err(TransportError::Timeout.into());
        }
        let (run, elapsed_ms) = (monotonic.run, millis(monotonic));
        state.clock = Some(Anchor { server, wall, run, elapsed_ms, floor: server });
        Ok(())
    }
}

/// Same bytes again: only after silence, or where the server says that it helps.
fn worth_resending(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(TransportError::Address(_) | TransportError::TooLarge) => false,
        ClientError::Transport(_) => true,
        ClientError::Problem(problem) => {
            let waits_for_more_than_us = matches!(
                problem.code,
                ProblemCode::Clock | ProblemCode::RegisterNotReached | ProblemCode::TooMany
            );
            problem.code.retry() == Retry::SameRequest && !waits_for_more_than_us
        }
        _ => false,
    }
}

/// The body of a good answer; a problem or something else becomes an error.
pub(crate) fn body_of(response: HttpResponse, content_type: &str) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    match response.content_type.as_str() {
        found if found == content_type && (200..300).contains(&response.status) => Ok(response.body),
        "application/problem+json" => Err(serde_json::from_slice::<Problem>(&response.body).map_or(
            ClientError::ServerMisbehaved("a problem document is not of the agreed form"),
            ClientError::Problem,
        )),
        _ if response.status >= 500 => Err(TransportError::Gateway(response.status).into()),
        _ => Err(ClientError::ServerMisbehaved("an answer has another content type than agreed")),
    }
}

/// Encodes what is posted as JSON.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(value).unwrap_or_default())
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phone")
            .field("ports", &self.ports)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
