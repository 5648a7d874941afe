//! Bytes as a script: a hostile phone that knows its PIN, its shares and its keys, against the server's side.

use std::sync::OnceLock;

use signer_core::{
    approval::{Document, RequestObject},
    codec::{self, Blob, List, Text},
    ids::{Epoch, KeyId},
    suite::Commitment,
    time::UnixSeconds,
    wire::{Approve, ApproveItem, ApprovePayload, Confirmation, EnrolKeys, RefreshKeys},
};

use crate::common::{
    self, Broken, KEEP_PIN, NOW, Outcome, PIN, Pair, Phone, Stream, approve, enrol, enrol_with, outcome,
    payload, record, refresh, refresh_with, remac, repack, request,
};

/// What every script starts from: a key before and after a refresh, and an honest approve of either.
struct Fixed {
    phone: Phone,
    pairs: [Pair; 2],
    objects: [RequestObject; 2],
    approves: Vec<(usize, usize, Approve)>,
}

fn fixed() -> &'static Fixed {
    static FIXED: OnceLock<Fixed> = OnceLock::new();
    FIXED.get_or_init(|| {
        let mut rng = Stream::new(1);
        let phone = Phone::new(1);
        let first = enrol(1);
        let second = refresh(&first, &mut rng);
        let pairs = [first, second];
        let objects = [request(1, 0), request(2, 1)];
        let mut approves = Vec::new();
        for (p, pair) in pairs.iter().enumerate() {
            for (o, object) in objects.iter().enumerate() {
                approves.push((p, o, approve(pair, &phone, object, PIN, &mut rng).0));
            }
        }
        Fixed { phone, pairs, objects, approves }
    })
}

/// A script read byte by byte; it ends in zeros.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn index(&mut self, below: usize) -> usize {
        usize::from(self.byte()) % below.max(1)
    }

    fn done(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes bytes: one flipped, one cut off, one added, or a run replaced.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % bytes.len().max(1);
        match self.byte() % 4 {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= self.byte();
                }
            }
            1 => bytes.truncate(at),
            2 => bytes.insert(at, self.byte()),
            _ => {
                let run = self.index(40);
                for i in at..(at + run).min(bytes.len()) {
                    bytes[i] = self.byte();
                }
            }
        }
    }

    fn blob<const MAX: usize>(&mut self, blob: &Blob<MAX>) -> Blob<MAX> {
        let mut bytes = blob.as_slice().to_vec();
        self.mutate(&mut bytes);
        Blob::new(bytes).unwrap_or_else(|| blob.clone())
    }
}

/// Runs one script.
pub fn run(data: &[u8]) {
    let mut script = Script(data);
    match script.byte() % 4 {
        0 | 1 => approves(&mut script),
        2 => enrolment(&mut script),
        _ => refreshment(&mut script),
    }
}

/// An honest approve, changed field by field; the record signed again or not, the gate MAC made again or not.
fn approves(script: &mut Script<'_>) {
    let world = fixed();
    let (p, o, honest) = &world.approves[script.index(world.approves.len())];
    // Which key and which request it is sent to need not be those it was made for.
    let (at, asked) = (script.byte(), script.byte());
    let pair = &world.pairs[if at < 200 { *p } else { script.index(2) }];
    let object = &world.objects[if asked < 200 { *o } else { script.index(2) }];
    let mut changed = payload(honest);
    let mut steps = 0;
    while !script.done() && steps < 8 {
        change(script, &mut changed);
        steps += 1;
    }
    let flags = script.byte();
    let right_gate = flags & 1 == 1;
    if right_gate {
        remac(pair, object, &mut changed);
    }
    let mut approve = repack(&world.phone, &changed);
    if flags & 2 == 2 {
        approve.record_signature = honest.record_signature;
    }
    if flags & 4 == 4 {
        approve.payload = script.blob(&approve.payload);
    }
    judge(world, pair, object, honest, &approve);
}

fn change(script: &mut Script<'_>, payload: &mut ApprovePayload) {
    let mut items: Vec<ApproveItem> = payload.items.as_slice().to_vec();
    let (one, other) = (script.index(items.len()), script.index(items.len()));
    match script.byte() % 14 {
        0 => payload.key = KeyId::from_bytes([script.byte(); 16]),
        1 => payload.epoch = Epoch(script.byte().into()),
        2 => payload.fetched_at = UnixSeconds(NOW.0.wrapping_add(u64::from(script.byte())).wrapping_sub(128)),
        3 => payload.token = common::token(script.byte()),
        4 => payload.record = script.blob(&payload.record),
        5 => items[one].device = script.blob(&items[one].device),
        6 => items[one].server = script.blob(&items[one].server),
        7 => items[one].contribution = script.blob(&items[one].contribution),
        8 => items.swap(one, other),
        9 => items[one] = items[other].clone(),
        10 => drop(items.pop()),
        11 => items.push(items[one].clone()),
        12 => items[one].contribution = items[other].contribution.clone(),
        _ => {
            let mut record = record(payload);
            record.approved_at =
                UnixSeconds(NOW.0.wrapping_add(u64::from(script.byte()) * 8).wrapping_sub(1024));
            let mut documents: Vec<Document> = record.request.documents.as_slice().to_vec();
            match script.byte() % 4 {
                0 => documents[0].digest[0] ^= script.byte(),
                1 => record.request.text = Text::new("Інше".into()).unwrap(),
                2 => record.request.expires = UnixSeconds(script.byte().into()),
                _ => {}
            }
            record.request.documents = List::new(documents).unwrap();
            payload.record = Blob::new(record.encode()).unwrap();
        }
    }
    if let Some(items) = List::new(items) {
        payload.items = items;
    }
}

fn judge(world: &Fixed, pair: &Pair, object: &RequestObject, honest: &Approve, approve: &Approve) {
    let again: Option<ApprovePayload> = codec::decode(approve.payload.as_slice(), 1 << 20).ok();
    match outcome(pair, &world.phone, object, approve) {
        Outcome::Signed(signatures) => {
            let suite = pair.context.suite.get();
            let documents = object.documents.as_slice();
            assert_eq!(signatures.len(), documents.len());
            for (document, signature) in documents.iter().zip(&signatures) {
                assert!(
                    suite.verify(&pair.public_key, &document.digest, signature),
                    "released and not valid"
                );
            }
            // Signed: the gate is right, and all that the signature stands on is what was honestly made.
            let mut again = again.expect("signed what does not decode");
            let mac = again.mac;
            remac(pair, object, &mut again);
            assert_eq!(mac, again.mac, "signed without the right gate");
            let honest = payload(honest);
            assert_eq!(again.items, honest.items, "signed other contributions");
            assert_eq!(record(&again).request, *object, "signed another request");
        }
        Outcome::Cheating => {
            let mut again = again.expect("judged what does not decode");
            let mac = again.mac;
            remac(pair, object, &mut again);
            assert_eq!(mac, again.mac, "called cheating without the right gate");
        }
        Outcome::ServerFault => panic!("a device made the server doubt itself"),
        Outcome::WrongPin | Outcome::Refused(_) => {}
    }
}

/// An enrolment in which the device's messages are changed. If it comes to an end, the key works.
fn enrolment(script: &mut Script<'_>) {
    let world = fixed();
    let mut rng = Stream::new(script.byte().into());
    let result = enrol_with(&world.phone, &mut rng, &mut |name, bytes| meddle(script, name, bytes));
    judge_pair(result, &world.phone);
}

/// A refresh in which the device's messages are changed.
fn refreshment(script: &mut Script<'_>) {
    let world = fixed();
    let pair = &world.pairs[script.index(2)];
    let mut rng = Stream::new(script.byte().into());
    let mut device_rng = Stream::new(script.byte().into());
    let result = refresh_with(pair, KEEP_PIN, &mut device_rng, &mut rng, &mut |name, bytes| {
        meddle(script, name, bytes)
    });
    if let Ok(new) = &result {
        assert_eq!(new.public_key, pair.public_key);
        assert_eq!(new.context.epoch, pair.context.epoch.next());
    }
    judge_pair(result, &world.phone);
}

fn meddle(script: &mut Script<'_>, name: &'static str, bytes: Vec<u8>) -> Vec<u8> {
    match (name, script.byte() % 8) {
        (
            "EnrolStarted" | "EnrolKeyed" | "RefreshStarted" | "RefreshKeyed" | "RefreshChallenged"
            | "Confirmed",
            _,
        )
        | (_, 0..5) => bytes,
        (_, 5) => {
            let mut bytes = bytes;
            script.mutate(&mut bytes);
            bytes
        }
        (_, _) => fields(script, name, bytes),
    }
}

/// Changes one field and encodes again, so that the form stays right.
fn fields(script: &mut Script<'_>, name: &'static str, bytes: Vec<u8>) -> Vec<u8> {
    let commitment = |script: &mut Script<'_>, old: &Commitment| -> Commitment {
        match script.byte() % 3 {
            0 => script.blob(old),
            1 => payload(&fixed().approves[0].2).items.as_slice()[0].device.clone(),
            _ => payload(&fixed().approves[0].2).items.as_slice()[0].server.clone(),
        }
    };
    match name {
        "EnrolKeys" => {
            let Ok(mut keys) = codec::decode::<EnrolKeys>(&bytes, 1 << 20) else { return bytes };
            if script.byte() % 2 == 0 {
                keys.keys = script.blob(&keys.keys);
            } else {
                keys.commitment = commitment(script, &keys.commitment);
            }
            codec::encode(&keys)
        }
        "RefreshKeys" => {
            let Ok(mut keys) = codec::decode::<RefreshKeys>(&bytes, 1 << 20) else { return bytes };
            if script.byte() % 2 == 0 {
                keys.part = common::token(script.byte());
            } else {
                keys.commitment = commitment(script, &keys.commitment);
            }
            codec::encode(&keys)
        }
        "EnrolConfirm" | "RefreshConfirm" => {
            // Both are their confirmation, nothing around it.
            let Ok(mut confirmation) = codec::decode::<Confirmation>(&bytes, 1 << 20) else { return bytes };
            match script.byte() % 3 {
                0 => confirmation.contribution = script.blob(&confirmation.contribution),
                1 => confirmation.gate_key = common::token(script.byte()),
                _ => confirmation.mac[0] ^= script.byte(),
            }
            codec::encode(&confirmation)
        }
        _ => bytes,
    }
}

fn judge_pair(result: Result<Pair, Broken>, phone: &Phone) {
    match result {
        Ok(pair) => {
            let mut rng = Stream::new(77);
            assert!(
                common::signs(&pair, phone, PIN, &mut rng),
                "a ceremony ended well and its key does not sign"
            );
        }
        Err(Broken::Server(at, why)) => assert_ne!(why, "Own", "{at}: a device made the server doubt itself"),
        Err(_) => {}
    }
}

/// Scripts to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in [0_u8, 2, 3] {
        for start in 0..4 {
            seeds.push(vec![kind, start, 0, 0]);
            for change in 0..14 {
                for flags in [0, 1] {
                    seeds.push(vec![kind, start, 0, 0, 0, 1, change, 3, 5, 1, flags]);
                }
            }
        }
    }
    seeds.truncate(160);
    seeds
}
