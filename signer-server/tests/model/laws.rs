//! The model: what was approved, tried, promised and ended so far, and what must hold of the server whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use signer_core::{
    approval::ApprovalRecord,
    ceremony::CheckedRefresh,
    codec,
    ids::{DeviceId, Epoch, KeyId, RequestId},
    signing::approve_payload_hash,
    suite::{KeyContext, SuiteId},
    wire::{
        APPROVE_PAYLOAD_BYTES_MAX, Approve, ApprovePayload, EnrolConfirm, Envelope,
        REFRESH_PAYLOAD_BYTES_MAX, RefreshConfirm, RefreshPayload, RefreshStart, Standing,
    },
};
use signer_server::store::{Counter, Installation, OutcomeKind, PayloadHash, RequestState};

use crate::{events::Who, server::policy};

/// A message as it was sent, with what only the run knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) by: Who,
    /// The PIN that was entered, by its number.
    pub(crate) pin: u8,
    /// The PIN that is to be the next one.
    pub(crate) to: u8,
}

impl Letter {
    pub(crate) fn device(&self) -> Option<DeviceId> {
        Envelope::decode(&self.body).ok().map(|envelope| envelope.device)
    }

    pub(crate) fn ends_enrolment(&self) -> bool {
        self.peek().is_some_and(|envelope| envelope.peek::<EnrolConfirm>().is_ok())
    }

    fn ends_refresh(&self) -> bool {
        self.peek().is_some_and(|envelope| envelope.peek::<RefreshConfirm>().is_ok())
    }

    /// Whether it tries a PIN or ends a ceremony: other letters change nothing, so that repeating them is no use.
    pub(crate) fn matters(&self) -> bool {
        self.tries().is_some() || self.ends_refresh() || self.ends_enrolment()
    }

    fn peek(&self) -> Option<Envelope> {
        Envelope::decode(&self.body).ok()
    }

    /// The try of a PIN that it carries.
    pub(crate) fn tries(&self) -> Option<Try> {
        let envelope = self.peek()?;
        let device = envelope.device;
        let context = |key: KeyId, epoch| KeyContext { suite: SuiteId::Es256, key, epoch, device };
        if let Ok(approve) = envelope.peek::<Approve>() {
            let payload: ApprovePayload =
                codec::decode(approve.payload.as_slice(), APPROVE_PAYLOAD_BYTES_MAX).ok()?;
            let record = ApprovalRecord::decode(payload.record.as_slice()).ok()?;
            let hash = approve_payload_hash(&context(payload.key, payload.epoch), &approve);
            let request = Some(record.request.request);
            let token = *payload.token.0.expose();
            return Some(Try { device, payload: PayloadHash(hash), epoch: payload.epoch, request, token });
        }
        let start = envelope.peek::<RefreshStart>().ok()?;
        let payload: RefreshPayload =
            codec::decode(start.payload.as_slice(), REFRESH_PAYLOAD_BYTES_MAX).ok()?;
        let hash = CheckedRefresh::payload_hash(&context(payload.key, payload.epoch), &start);
        let token = *payload.token.0.expose();
        Some(Try { device, payload: PayloadHash(hash), epoch: payload.epoch, request: None, token })
    }
}

/// A PIN put to the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    pub(crate) device: DeviceId,
    pub(crate) payload: PayloadHash,
    epoch: Epoch,
    request: Option<RequestId>,
    token: [u8; 32],
}

#[derive(Debug, Default)]
struct Asked {
    /// Whether somebody who knows the PIN approved it, on this phone or a copy of it.
    approved: bool,
    /// Whether the relying party was told that it is taken back.
    cancelled: bool,
    signed: Option<([u8; 32], Vec<Vec<u8>>)>,
}

/// What is known of an installation.
#[derive(Debug, Default)]
pub(crate) struct Device {
    /// The PIN of each epoch, by its number.
    pins: BTreeMap<u32, u8>,
    epoch: u32,
    suspended: bool,
    revoked: bool,
    frozen: bool,
    /// Whether a copy of its state was ever made.
    copied: bool,
    right: BTreeSet<[u8; 32]>,
    /// Wrong PINs evaluated, and when, by the server's clock.
    wrong: Vec<([u8; 32], u64)>,
    /// Tries cut short by a crash: they may stay counted, until the same try is taken up again and ends.
    cut: BTreeSet<[u8; 32]>,
    /// Tries cut short that stay counted, since another may have come between: there is room for one.
    overtaken: u32,
    /// Ends of a refresh cut short by a crash.
    confirmations_cut: u32,
    forgiven: bool,
    /// Who succeeded under the shares of this epoch since the last copy was made, in order, and whether the phone has heard of it:
    /// one that has not goes on with the number it has, like the copy.
    successes: Vec<([u8; 32], Who, bool)>,
    /// The token that each try presented, and whose successes it may stand for: its sender's until that is told of it, and the
    /// thief's if it was sent before the copy was made, which may be older than the answer.
    open: BTreeMap<[u8; 32], (BTreeSet<Who>, [u8; 32])>,
}

/// Everything that was promised.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    devices: BTreeMap<DeviceId, Device>,
    requests: BTreeMap<RequestId, Asked>,
}

fn counted(counter: Counter) -> u32 {
    u32::from(counter.level) * u32::from(policy().tries) + u32::from(counter.wrong)
}

impl Laws {
    pub(crate) fn enrolled(&mut self, device: DeviceId, pin: u8) {
        if self.devices.contains_key(&device) {
            return;
        }
        for other in self.devices.values_mut() {
            other.revoked = true;
        }
        self.devices.insert(device, Device { pins: [(0, pin)].into(), ..Device::default() });
    }

    pub(crate) fn asked(&mut self, request: RequestId) {
        self.requests.insert(request, Asked::default());
    }

    pub(crate) fn cancelled(&mut self, request: RequestId) {
        self.requests.get_mut(&request).unwrap().cancelled = true;
    }

    pub(crate) fn device(&mut self, device: DeviceId) -> Option<&mut Device> {
        self.devices.get_mut(&device)
    }

    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        self.devices.keys().copied().collect()
    }

    pub(crate) fn requests(&self) -> Vec<RequestId> {
        self.requests.keys().copied().collect()
    }

    pub(crate) fn is_signed(&self, request: RequestId) -> bool {
        self.requests[&request].signed.is_some()
    }

    /// The PIN of a phone's shares.
    pub(crate) fn pin(&self, device: DeviceId, epoch: u32) -> Option<u8> {
        self.devices.get(&device)?.pins.get(&epoch).copied()
    }

    /// A letter leaves a phone: with the right PIN it approves what it names.
    pub(crate) fn sent(&mut self, letter: &Letter) {
        let Some(one) = letter.tries() else { return };
        if let Some(device) = self.devices.get_mut(&one.device) {
            device.open.entry(one.payload.0).or_insert(([letter.by].into(), one.token));
        }
        if let Some(request) = one.request
            && self.is_right(letter, &one)
        {
            self.requests.get_mut(&request).unwrap().approved = true;
        }
    }

    /// A phone was refused a try, in a way that leaves nothing of it.
    pub(crate) fn refused(&mut self, letter: &Letter) {
        let Some(one) = letter.tries() else { return };
        if let Some(device) = self.devices.get_mut(&one.device) {
            device.told(one.payload, letter.by);
        }
    }

    fn is_right(&self, letter: &Letter, one: &Try) -> bool {
        self.pin(one.device, one.epoch.0) == Some(letter.pin)
    }

    /// A letter was cut short by a crash. It may have been counted.
    pub(crate) fn cut(&mut self, letter: &Letter) {
        let device = letter.device().and_then(|device| self.devices.get_mut(&device));
        let Some(device) = device else { return };
        if let Some(one) = letter.tries() {
            device.cut.insert(one.payload.0);
        }
        device.confirmations_cut += u32::from(letter.ends_refresh());
    }

    /// Whether a letter is a try that a crash cut short.
    pub(crate) fn was_cut(&self, letter: &Letter) -> bool {
        let one = letter.tries();
        one.is_some_and(|one| {
            self.devices.get(&one.device).is_some_and(|device| device.cut.contains(&one.payload.0))
        })
    }

    /// Two letters arrive at the same moment: which came first is not known.
    pub(crate) fn raced(&mut self, one: &Letter, other: &Letter) {
        let tries = |letter: &Letter| letter.tries().map(|one| (one.device, one.payload));
        if let (Some(one), Some(other)) = (tries(one), tries(other))
            && one != other
        {
            for device in BTreeSet::from([one.0, other.0]) {
                self.devices.entry(device).and_modify(Device::overtake);
            }
        }
        for (one, other) in [(one, other), (other, one)] {
            // A new phone ends the old one between its reservation and what comes of it: it stays counted.
            if other.ends_enrolment()
                && let Some((device, _)) = tries(one)
            {
                self.devices.entry(device).and_modify(|device| device.overtaken += 1);
            }
        }
    }

    /// A phone got an answer to a letter.
    pub(crate) fn heard(&mut self, letter: &Letter) {
        let Some(one) = letter.tries() else { return };
        if let Some(device) = self.devices.get_mut(&one.device) {
            device.told(one.payload, letter.by);
            device.heard(one.payload);
        }
    }

    /// What the store says became of the try in a letter. `before` is its installation as it stood.
    pub(crate) fn evaluated(
        &mut self,
        letter: &Letter,
        kind: &OutcomeKind,
        before: Option<&Installation>,
        now: u64,
    ) {
        let one = letter.tries().unwrap();
        let right = self.is_right(letter, &one);
        let device = self.devices.get_mut(&one.device).unwrap();
        let known = device.right.contains(&one.payload.0)
            || device.wrong.iter().any(|(payload, _)| *payload == one.payload.0);
        if known {
            device.cut.remove(&one.payload.0);
        } else {
            // A try that a crash cut short is taken up again, also behind the lock that it made itself.
            let again = device.take_up(one.payload);
            device.may_evaluate(&one, before.filter(|_| !again), now);
        }
        match kind {
            OutcomeKind::Cheating => panic!("an honest contribution was called cheating"),
            OutcomeKind::WrongPin => {
                assert!(!right, "the right PIN was called wrong");
                if !known {
                    device.wrong.push((one.payload.0, now));
                    device.within_policy();
                }
                return;
            }
            OutcomeKind::PinProven | OutcomeKind::Signed(_) => assert!(right, "a wrong PIN opened the gate"),
        }
        if !known {
            device.right.insert(one.payload.0);
            device.succeed(&one, letter.by);
        }
        let (OutcomeKind::Signed(signatures), Some(request)) = (kind, one.request) else { return };
        let asked = self.requests.get_mut(&request).unwrap();
        assert!(asked.approved, "a signature that nobody approved");
        let signed = (one.payload.0, signatures.clone());
        match &asked.signed {
            Some(first) => assert_eq!(*first, signed, "two signatures for one request"),
            None => {
                assert!(!asked.cancelled, "a request that was taken back is signed");
                asked.signed = Some(signed);
            }
        }
    }

    /// The store as it stands must agree with what was promised. `last` is what it answered just before, or did not.
    pub(crate) fn agree(&mut self, row: &Installation, last: Option<&Letter>) {
        let device = self.devices.get_mut(&row.device).unwrap();
        let epoch = row.key.epoch.0;
        if epoch != device.epoch {
            let letter = last.filter(|letter| letter.ends_refresh() && letter.device() == Some(row.device));
            let letter = letter.expect("the shares changed without a confirmation");
            assert_eq!(epoch, device.epoch + 1, "an epoch was skipped or came back");
            device.pins.insert(epoch, letter.to);
            (device.epoch, device.successes) = (epoch, Vec::new());
        }
        device.stands(row.standing);
        device.counts(row.counter);
    }

    /// A request as it stands must agree with what was promised.
    pub(crate) fn request_agrees(&self, request: RequestId, state: &RequestState) {
        let asked = &self.requests[&request];
        match (state, &asked.signed) {
            (RequestState::Signed { signatures, .. }, Some((_, first))) => assert_eq!(signatures, first),
            (RequestState::Signed { .. }, None) => panic!("a signature without an evaluation"),
            (_, Some(_)) => panic!("a signature that was given out is lost"),
            (RequestState::Open, None) => assert!(!asked.cancelled, "a request came back"),
            _ => {}
        }
    }
}

impl Device {
    /// Whether it can sign, for all that is known.
    pub(crate) const fn is_good(&self) -> bool {
        !self.suspended && !self.revoked && !self.frozen
    }

    pub(crate) const fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// A copy of its state is made.
    pub(crate) fn copy(&mut self) {
        self.copied = true;
        self.successes.clear();
        for (hands, _) in self.open.values_mut() {
            hands.insert(Who::Thief);
        }
    }

    pub(crate) const fn was_copied(&self) -> bool {
        self.copied
    }

    /// The operator was told that it is suspended, or resumed.
    pub(crate) const fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
    }

    pub(crate) const fn revoke(&mut self) {
        self.revoked = true;
    }

    /// A PIN is evaluated only where it may be.
    fn may_evaluate(&self, one: &Try, before: Option<&Installation>, now: u64) {
        assert!(!self.revoked, "a revoked key was used");
        assert!(!self.suspended, "a suspended key was used");
        assert!(!self.frozen, "a frozen key was used");
        assert_eq!(one.epoch.0, self.epoch, "shares of an old epoch were used");
        if let Some(before) = before {
            assert!(before.counter.locked_until.0 <= now || before.standing != Standing::Good, "locked");
        }
    }

    /// A success is forgiven three wrong PINs, once in a run. What a crash cut short makes the lock come earlier.
    fn within_policy(&self) {
        let tries: usize = policy().tries.into();
        let extra = if self.forgiven { tries } else { 0 };
        assert!(self.wrong.len() <= 3 * tries + extra, "more tries than the policy allows");
        if self.forgiven {
            return;
        }
        let earlier = usize::try_from(self.cut_short()).unwrap();
        for (level, lock) in policy().lock_seconds.into_iter().enumerate() {
            let next = (level + 1) * tries;
            let last = (next - 1).checked_sub(earlier).and_then(|last| self.wrong.get(last));
            let next = self.wrong.get(next);
            if let (Some((_, last)), Some((_, next))) = (last, next) {
                assert!(*next >= last + lock, "a try while locked");
            }
        }
    }

    /// A try is evaluated. Whether a crash had cut it short, and it may have been taken up again.
    fn take_up(&mut self, payload: PayloadHash) -> bool {
        let again = self.cut.remove(&payload.0);
        let others = !self.cut.is_empty() || self.confirmations_cut > 0;
        self.overtake();
        self.cut.clear();
        self.overtaken += u32::from(again && others);
        again
    }

    /// Another try comes between those that were cut short and what may come of them.
    fn overtake(&mut self) {
        self.overtaken += u32::try_from(self.cut.len()).unwrap();
    }

    /// Successes of another hand since this one's last, or since the copy was made, are no more than it may have had itself.
    fn succeed(&mut self, one: &Try, by: Who) {
        let others = self.successes.iter().rev().take_while(|(_, who, _)| *who != by).count();
        let may_be_own = |(payload, (hands, token)): &(&[u8; 32], &(BTreeSet<Who>, [u8; 32]))| {
            **payload != one.payload.0 && *token == one.token && hands.contains(&by)
        };
        let own = self.open.iter().filter(may_be_own).count();
        assert!(
            others <= own,
            "{others} successes of another hand overlooked, by a phone with {own} open tries"
        );
        self.successes.push((one.payload.0, by, false));
    }

    /// Its sender knows what became of a try.
    fn told(&mut self, payload: PayloadHash, who: Who) {
        if let Some((hands, _)) = self.open.get_mut(&payload.0) {
            hands.remove(&who);
        }
    }

    /// Whoever signs with an overtaken number gives itself away: phone and copy never take turns.
    fn heard(&mut self, payload: PayloadHash) {
        for (one, _, heard) in &mut self.successes {
            *heard |= *one == payload.0;
        }
        let mut hands: Vec<Who> =
            self.successes.iter().filter(|(_, _, heard)| *heard).map(|(_, by, _)| *by).collect();
        hands.dedup();
        assert!(hands.len() <= 2, "phone and copy take turns");
    }

    fn stands(&mut self, standing: Standing) {
        match standing {
            Standing::Good => {
                assert!(!self.revoked && !self.suspended && !self.frozen, "an end was taken back");
            }
            Standing::Frozen => {
                assert!(self.copied, "a phone that was never copied is frozen");
                assert!(!self.revoked, "an end was taken back");
                // It shows before a suspension, and stays after it.
                self.frozen = true;
            }
            Standing::Suspended => {
                assert!(self.suspended, "suspended by nobody");
                assert!(!self.revoked && !self.frozen, "an end was taken back");
            }
            Standing::Revoked => assert!(self.revoked, "revoked by nobody"),
        }
    }

    /// Tries that may be counted though nothing came of them.
    fn cut_short(&self) -> u32 {
        u32::try_from(self.cut.len()).unwrap() + self.confirmations_cut + self.overtaken
    }

    /// Every wrong PIN is counted, and nothing but wrong PINs and what a crash cut short.
    fn counts(&mut self, counter: Counter) {
        self.forgiven |= counter.stepped_down_at.0 != 0;
        let (found, wrong) = (counted(counter), u32::try_from(self.wrong.len()).unwrap());
        let forgiven = if self.forgiven { u32::from(policy().tries) } else { 0 };
        assert!(found + forgiven >= wrong, "{found} counted of {wrong} wrong PINs");
        let cut = self.cut_short();
        assert!(found <= wrong + cut, "{found} counted, {wrong} wrong PINs, {cut} cut");
    }
}
