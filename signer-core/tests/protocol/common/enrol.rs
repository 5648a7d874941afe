//! Enrolment and refresh from end to end, each message in bytes and open to meddling.

use std::{collections::BTreeMap, sync::Mutex};

use minicbor::{Decode, Encode};
use signer_core::{
    ceremony::{
        CheckedConfirmation, CheckedRefresh, DeviceEnrolment, DeviceRefresh, ProvenKey, ServerEnrolment,
        ServerRefresh, Unproven, refresh_challenge,
    },
    codec::{self, Text},
    history::HistoryKeyBytes,
    ids::Epoch,
    lost_code::HolderKeys,
    secret::SecretBytes,
    suite::KeyContext,
    time::UnixSeconds,
    wire::{
        Confirmed, EnrolConfirm, EnrolKeyed, EnrolKeys, EnrolStart, EnrolStarted, EnrolmentCode, Presented,
        RefreshChallenged, RefreshConfirm, RefreshKeyed, RefreshKeys, RefreshStart, RefreshStarted, Token,
        WireSecret,
    },
};

use super::{COST, HEDGE, NOW, PIN, Pair, Phone, SALT, SUITE, Stream, mask, unlock};

/// Where a ceremony ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A message did not decode.
    Codec(&'static str),
    /// The server refused.
    Server(&'static str, String),
    /// The PIN proof failed.
    WrongPin,
    /// The device refused.
    Device(&'static str, String),
}

/// Changes messages on their way: called with the message's name and bytes.
pub(crate) type Meddle<'a> = dyn FnMut(&'static str, Vec<u8>) -> Vec<u8> + 'a;

pub(crate) fn honest(_: &'static str, bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

fn pass<T>(meddle: &mut Meddle<'_>, name: &'static str, message: &T) -> Result<T, Broken>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    codec::decode(&meddle(name, codec::encode(message)), 1 << 20).map_err(|_| Broken::Codec(name))
}

fn at_server<T, E: core::fmt::Debug>(name: &'static str, result: Result<T, E>) -> Result<T, Broken> {
    result.map_err(|error| Broken::Server(name, format!("{error:?}")))
}

fn at_device<T, E: core::fmt::Debug>(name: &'static str, result: Result<T, E>) -> Result<T, Broken> {
    result.map_err(|error| Broken::Device(name, format!("{error:?}")))
}

pub(crate) fn token(byte: u8) -> Token {
    WireSecret(SecretBytes::new([byte; 32]))
}

/// A token, presented by a phone that heard of all its tries.
pub(crate) fn presented(byte: u8) -> Presented {
    Presented { token: token(byte), unheard: 0 }
}

pub(crate) fn code() -> EnrolmentCode {
    EnrolmentCode(Text::new("K7QF-2M9D".into()).unwrap())
}

/// What a phone leaves with the server for its holder.
pub(crate) fn holder_keys() -> HolderKeys {
    HolderKeys { history: HistoryKeyBytes([0x68; 32]), lost_code: [0x6c; 32] }
}

/// An enrolment of phone 1. Made once for each seed: key generation of `es256` takes a while.
pub(crate) fn enrol(seed: u64) -> Pair {
    static MADE: Mutex<BTreeMap<u64, Pair>> = Mutex::new(BTreeMap::new());
    let make = || enrol_with(&Phone::new(1), &mut Stream::new(seed), &mut honest).unwrap();
    MADE.lock().unwrap().entry(seed).or_insert_with(make).clone()
}

pub(crate) fn enrol_with(phone: &Phone, rng: &mut Stream, meddle: &mut Meddle<'_>) -> Result<Pair, Broken> {
    let (device, start) =
        at_device("EnrolStart", DeviceEnrolment::start(SUITE, phone.public(), code(), holder_keys(), rng))?;
    let start: EnrolStart = pass(meddle, "EnrolStart", &start)?;
    let context = KeyContext {
        suite: start.suite,
        key: start.key,
        epoch: Epoch(0),
        device: start.device_key.device_id(),
    };
    let server = ServerEnrolment::start(context, start.device_key, start.holder_keys, &start.hello, rng);
    let (server, started) = at_server("EnrolStart", server)?;
    let started: EnrolStarted = pass(meddle, "EnrolStarted", &started)?;
    let (device, keys) = at_device("EnrolStarted", device.keys(&started, &HEDGE, rng))?;
    let keys: EnrolKeys = pass(meddle, "EnrolKeys", &keys)?;
    let (server, keyed) = at_server("EnrolKeys", server.keys(&keys, token(1), NOW, rng))?;
    let keyed: EnrolKeyed = pass(meddle, "EnrolKeyed", &keyed)?;
    let (device, _) = at_device("EnrolKeyed", device.ready(keyed, rng))?;
    let mask = mask(PIN, device.context());
    let (unproven, confirmation) = at_device("EnrolKeyed", device.confirm(mask, SALT, COST, rng))?;
    let EnrolConfirm(confirmation) = pass(meddle, "EnrolConfirm", &EnrolConfirm(confirmation))?;
    let proven =
        at_server("EnrolConfirm", server.check(confirmation).and_then(CheckedConfirmation::evaluate))?;
    finish(unproven, proven, meddle)
}

fn finish(unproven: Unproven, proven: ProvenKey, meddle: &mut Meddle<'_>) -> Result<Pair, Broken> {
    let confirmed = Confirmed { signature: proven.proof.clone() };
    let confirmed: Confirmed = pass(meddle, "Confirmed", &confirmed)?;
    let masked = at_device("Confirmed", unproven.prove(&confirmed).map_err(|_| "not proven"))?;
    Ok(Pair::new(proven, masked))
}

/// What a refresh is told besides its pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refresh<'a> {
    pub(crate) old_pin: &'a str,
    pub(crate) new_pin: &'a str,
    pub(crate) now: UnixSeconds,
}

pub(crate) const KEEP_PIN: Refresh<'static> = Refresh { old_pin: PIN, new_pin: PIN, now: NOW };

pub(crate) fn refresh(pair: &Pair, rng: &mut Stream) -> Pair {
    refresh_with(pair, KEEP_PIN, &mut rng.clone(), rng, &mut honest).unwrap()
}

pub(crate) fn refresh_with(
    pair: &Pair,
    how: Refresh<'_>,
    device_rng: &mut Stream,
    server_rng: &mut Stream,
    meddle: &mut Meddle<'_>,
) -> Result<Pair, Broken> {
    let old = pair.server();
    let challenged: RefreshChallenged =
        pass(meddle, "RefreshChallenged", &refresh_challenge(&old, &pair.context, how.now))?;
    let unlocked = unlock(&pair.masked, how.old_pin);
    let device = DeviceRefresh::start(unlocked, pair.device_key, &challenged, presented(1), device_rng);
    let (device, start) = at_device("RefreshChallenged", device)?;
    let start: RefreshStart = pass(meddle, "RefreshStart", &start)?;
    let checked = at_server("RefreshStart", CheckedRefresh::new(&pair.context, &start))?;
    at_server("RefreshStart", checked.based_on(&old, &pair.context, how.now).ok_or("stale"))?;
    if !checked.pin_is_right(&old, &pair.context) {
        return Err(Broken::WrongPin);
    }
    let (server, ceremony, commitment) =
        ServerRefresh::start(&pair.context, pair.device_key, pair.public_key, server_rng);
    let started = RefreshStarted::Started { ceremony, commitment, token: token(2) };
    let RefreshStarted::Started { ceremony, commitment, .. } = pass(meddle, "RefreshStarted", &started)?
    else {
        return Err(Broken::Device("RefreshStarted", "told that the PIN was wrong".into()));
    };
    let (device, keys) = at_device("RefreshStarted", device.keys(ceremony, commitment, &HEDGE, device_rng))?;
    let keys: RefreshKeys = pass(meddle, "RefreshKeys", &keys)?;
    let (server, keyed) = at_server("RefreshKeys", server.keys(&old, &keys, how.now, server_rng))?;
    let keyed: RefreshKeyed = pass(meddle, "RefreshKeyed", &keyed)?;
    let device = at_device("RefreshKeyed", device.ready(keyed, device_rng))?;
    let mask = mask(how.new_pin, device.context());
    let (unproven, confirmation) = at_device("RefreshKeyed", device.confirm(mask, SALT, COST, device_rng))?;
    let RefreshConfirm(confirmation) = pass(meddle, "RefreshConfirm", &RefreshConfirm(confirmation))?;
    let proven =
        at_server("RefreshConfirm", server.check(confirmation).and_then(CheckedConfirmation::evaluate))?;
    finish(unproven, proven, meddle)
}
