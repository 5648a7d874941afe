//! Phones, a network and a server, and what an event does to them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use signer_client::{
    Approved, ClientError, Outcome, Phone, PhoneOptions, Ports, StateError,
    desk::SoftwareKey,
    ports::{
        Clock, HardwareKey, Http, HttpRequest, HttpResponse, Monotonic, Storage, StorageError, TransportError,
    },
};
use signer_core::{
    device_key::DevicePublicKeyBytes,
    ids::{DeviceId, RequestId},
    pin::{Pin, PinCost},
    suite::SuiteId,
    time::UnixSeconds,
    wire::{CreateEnrolmentCode, CreateRequest, DocumentDigest, Problem, ProblemCode},
};
use signer_server::{
    service::ServiceError,
    store::{Attempts, Installation, Installations, Requests, RevocationReason},
};

use crate::{
    events::{Event, Mishap, Trouble, Who},
    laws::{Laws, Letter},
    server::{Crash, Server},
};

/// PINs, by number; the last one is nobody's.
const PINS: [&str; 5] = ["730194", "582907", "194736", "264917", "730149"];
const WRONG: u8 = 4;
pub(crate) const PERSON: &str = "olena";

/// A try fails, a second one of the same bytes may not.
const WAITS: &[Duration] = &[Duration::from_secs(1)];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// What phones reach: the network and what is behind it.
pub(crate) struct Net {
    server: Mutex<Server>,
    laws: Mutex<Laws>,
    trouble: Mutex<Option<Trouble>>,
    letters: Mutex<Vec<Letter>>,
    /// Letters during which the server crashed, until it is known what became of them.
    cut: Mutex<Vec<Letter>>,
    hand: Mutex<Hand>,
}

/// Who acts, and with which PINs.
#[derive(Clone, Copy)]
struct Hand {
    who: Who,
    pin: u8,
    to: u8,
}

impl Net {
    fn pass(&self, seconds: u64) {
        lock(&self.server).clocks.truth.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Brings a letter to the server and looks at what became of it. `None`: no answer.
    fn deliver(&self, letter: &Letter) -> Option<HttpResponse> {
        let mut server = lock(&self.server);
        server.running.as_ref()?;
        let row = letter.device().and_then(|device| installation(&server, device));
        let answer = server.answer(&letter.path, &letter.body);
        if server.running.is_none() {
            lock(&self.laws).cut(letter);
            lock(&self.cut).push(letter.clone());
            return None;
        }
        self.look(&server, letter, row.as_ref());
        answer
    }

    /// What the store says of a letter that was delivered.
    fn look(&self, server: &Server, letter: &Letter, before: Option<&Installation>) {
        self.look_at_all(server, &[letter], before);
    }

    /// What the store says of letters that were delivered at one moment: of every try first, since it counts them together.
    fn look_at_all(&self, server: &Server, delivered: &[&Letter], before: Option<&Installation>) {
        let mut laws = lock(&self.laws);
        let store = &server.running().store;
        let now = server.running().service.now();
        for letter in delivered {
            let Some(one) = letter.tries() else { continue };
            let stored = server.runtime.block_on(store.stored_outcome(one.device, one.payload, now)).unwrap();
            if let Some(stored) = stored {
                laws.evaluated(letter, &stored.kind, before, now.0);
            }
        }
        for letter in delivered {
            let Some(row) = letter.device().and_then(|device| installation(server, device)) else { continue };
            if letter.ends_enrolment() {
                laws.enrolled(row.device, letter.to);
            }
            laws.agree(&row, Some(letter));
        }
    }

    /// Starts the server again if it is down. What was promised must be there.
    fn restart(&self) {
        let mut server = lock(&self.server);
        if server.running.is_some() {
            return;
        }
        server.witness.plan(None);
        server.start().unwrap();
        for letter in lock(&self.cut).drain(..) {
            self.look(&server, &letter, None);
        }
        self.check(&server);
    }

    /// Compares everything in the store with the model.
    fn check(&self, server: &Server) {
        let mut laws = lock(&self.laws);
        for device in laws.devices() {
            let row = installation(server, device).expect("an installation is lost");
            laws.agree(&row, None);
        }
        for request in laws.requests() {
            let now = server.running().service.now();
            let row = server.runtime.block_on(server.running().store.request(request, now)).unwrap();
            laws.request_agrees(request, &row.expect("a request is lost").state);
        }
    }

    /// Plans a crash, acts as the operator, and starts the server again if it crashed. False if it did: nobody was told.
    fn operate(&self, crash: Option<Crash>, act: impl FnOnce(&mut Server) -> bool) -> bool {
        let mut server = lock(&self.server);
        server.witness.plan(crash);
        let told = act(&mut server);
        server.witness.plan(None);
        told
    }
}

fn installation(server: &Server, device: DeviceId) -> Option<Installation> {
    server.runtime.block_on(server.running().store.installation(device)).unwrap()
}

/// Everything a phone stands on.
#[derive(Clone)]
struct Port {
    net: Arc<Net>,
    images: Arc<Mutex<Vec<Vec<u8>>>>,
    skew: Arc<Mutex<i64>>,
    key: Arc<Mutex<SoftwareKey>>,
}

impl Http for Port {
    fn server(&self) -> &str {
        "https://signer.test"
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let net = &self.net;
        let Hand { who, pin, to } = *lock(&net.hand);
        let letter = Letter { path: request.path.clone(), body: request.body.to_vec(), by: who, pin, to };
        lock(&net.laws).sent(&letter);
        if letter.matters() {
            lock(&net.letters).push(letter.clone());
        }
        let mishap = {
            let mut trouble = lock(&net.trouble);
            match &mut *trouble {
                Some(Trouble { after: 0, mishap }) => {
                    let mishap = *mishap;
                    *trouble = None;
                    Some(mishap)
                }
                Some(Trouble { after, .. }) => {
                    *after -= 1;
                    None
                }
                None => None,
            }
        };
        let lost = || TransportError::Unreachable("lost".into());
        let answer = match mishap {
            None => net.deliver(&letter).ok_or_else(lost),
            Some(Mishap::Lost) => Err(lost()),
            Some(Mishap::AnswerLost) => {
                net.deliver(&letter);
                Err(TransportError::Timeout)
            }
            Some(Mishap::Twice) => {
                net.deliver(&letter);
                net.deliver(&letter).ok_or_else(lost)
            }
            Some(Mishap::Crash(crash, back)) => {
                let witness = lock(&net.server).witness.clone();
                witness.plan(Some(crash));
                let answer = net.deliver(&letter);
                witness.plan(None);
                if back {
                    net.restart();
                }
                answer.ok_or_else(lost)
            }
        };
        match &answer {
            Ok(answer) if answer.status == 200 => lock(&net.laws).heard(&letter),
            Ok(answer) if is_in_vain(&answer.body) => lock(&net.laws).refused(&letter),
            _ => {}
        }
        answer
    }
}

/// Whether a refusal leaves nothing of what it refuses: it does not wait for a lock, another attempt or the operator.
fn is_in_vain(body: &[u8]) -> bool {
    use ProblemCode::*;
    let problem: Problem = serde_json::from_slice(body).unwrap();
    !matches!(problem.code, Busy | Locked | Suspended)
}

impl Clock for Port {
    fn wall(&self) -> UnixSeconds {
        let truth = lock(&self.net.server).clocks.truth.load(Ordering::Relaxed);
        UnixSeconds(truth.saturating_add_signed(*lock(&self.skew)))
    }

    fn monotonic(&self) -> Monotonic {
        let truth = lock(&self.net.server).clocks.truth.load(Ordering::Relaxed);
        Monotonic { run: [1; 16], elapsed: Duration::from_secs(truth - crate::server::START + 1000) }
    }

    fn sleep(&self, time: Duration) {
        self.net.pass(time.as_secs().max(1));
    }
}

impl Storage for Port {
    fn load(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(lock(&self.images).last().cloned())
    }

    fn store(&mut self, image: &[u8]) -> Result<(), StorageError> {
        lock(&self.images).push(image.to_vec());
        Ok(())
    }

    fn erase(&mut self) -> Result<(), StorageError> {
        lock(&self.images).clear();
        Ok(())
    }
}

/// A phone, or a copy of one.
struct Handset {
    port: Port,
    phone: Phone,
    device: DeviceId,
    /// PINs its hands know, by epoch; the holder knows them all.
    knows: Option<BTreeMap<u32, u8>>,
}

/// A keystore that follows from its number, so that it can be copied.
pub(crate) fn keystore(number: u64) -> SoftwareKey {
    SoftwareKey::in_memory(Box::new(StdRng::seed_from_u64(number)))
}

pub(crate) struct Keystore(pub(crate) Arc<Mutex<SoftwareKey>>);

macro_rules! through_the_lock {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl HardwareKey for Keystore {
            $(fn $name(&self, $($argument: $type),*) -> Result<$answer, signer_client::ports::KeystoreError> {
                lock(&self.0).$name($($argument),*)
            })*

            fn new_day_key(
                &mut self,
            ) -> Result<(signer_client::ports::DayKeyHandle, DevicePublicKeyBytes), signer_client::ports::KeystoreError>
            {
                lock(&self.0).new_day_key()
            }

            fn keep_day_keys(
                &mut self,
                keep: &[signer_client::ports::DayKeyHandle],
            ) -> Result<(), signer_client::ports::KeystoreError> {
                lock(&self.0).keep_day_keys(keep)
            }

            fn reset(&mut self) -> Result<(), signer_client::ports::KeystoreError> {
                lock(&self.0).reset()
            }
        }
    };
}

through_the_lock! {
    public_key() -> DevicePublicKeyBytes;
    sign(message: signer_core::device_key::ToSign) -> signer_core::device_key::DeviceSignature;
    bind(stretched: &signer_core::pin::Stretched) -> signer_core::secret::SecretBytes<32>;
    derive(purpose: signer_client::ports::Purpose, input: &[u8]) -> signer_core::secret::SecretBytes<32>;
    sign_with_day_key(key: signer_client::ports::DayKeyHandle, message: &[u8]) -> [u8; 64];
}

/// What every run begins with: a server with one relying party and one enrolled phone.
#[derive(Clone)]
pub(crate) struct Beginning {
    pub(crate) database: Vec<u8>,
    pub(crate) mark: signer_server::store::sqlite::Mark,
    pub(crate) bank: String,
    pub(crate) image: Vec<u8>,
    pub(crate) keystore: u64,
}

/// One run.
pub(crate) struct World {
    net: Arc<Net>,
    holder: Handset,
    thief: Option<Handset>,
    copies: Vec<Vec<u8>>,
    draws: AtomicU64,
}

impl World {
    pub(crate) fn begin(server: Server, beginning: &Beginning, seed: u64) -> Self {
        let mut laws = Laws::default();
        let device = keystore(beginning.keystore).public_key().unwrap().device_id();
        laws.enrolled(device, 0);
        let net = Arc::new(Net {
            server: Mutex::new(server),
            laws: Mutex::new(laws),
            trouble: Mutex::default(),
            letters: Mutex::default(),
            cut: Mutex::default(),
            hand: Mutex::new(Hand { who: Who::Holder, pin: WRONG, to: WRONG }),
        });
        let draws = AtomicU64::new(seed);
        let images = vec![beginning.image.clone()];
        let holder = handset(&net, beginning.keystore, images, None, &draws);
        Self { net, holder, thief: None, copies: Vec::new(), draws }
    }

    /// A server with a phone, for every run to begin with.
    pub(crate) fn beginning(server: Server) -> Beginning {
        let bank = server.bank.clone();
        let net = Arc::new(Net {
            server: Mutex::new(server),
            laws: Mutex::default(),
            trouble: Mutex::default(),
            letters: Mutex::default(),
            cut: Mutex::default(),
            hand: Mutex::new(Hand { who: Who::Holder, pin: 0, to: 0 }),
        });
        let mut holder = handset(&net, 1, Vec::new(), None, &AtomicU64::new(1));
        let code = code(&net).unwrap();
        holder.phone.enrol(SuiteId::FrostSecp256k1Sha256, &code, &pin(0)).unwrap();
        let mut server = lock(&net.server);
        let database = server.copy();
        let mark = server.witness.mark().unwrap();
        let image = lock(&holder.port.images).last().unwrap().clone();
        Beginning { database, mark, bank, image, keystore: 1 }
    }

    pub(crate) fn apply(&mut self, event: Event) {
        self.net.restart();
        self.net.pass(1);
        match event {
            Event::Ask => self.ask(),
            Event::Cancel(which) => self.cancel(which),
            Event::Approve { who, request, right, trouble } => self.approve(who, request, right, trouble),
            Event::Look { who, trouble } => self.look(who, trouble),
            Event::ChangePin { who, to, right, trouble } => self.change_pin(who, to, right, trouble),
            Event::Reopen => self.reopen(),
            Event::Copy { back, knows_pin } => self.copy(back, knows_pin),
            Event::Enrol { trouble } => self.enrol(trouble),
            Event::Suspend { suspended, crash } => self.suspend(suspended, crash),
            Event::Revoke { crash } => self.revoke(crash),
            Event::Again(which) => {
                if let Some(letter) = self.letter(which) {
                    self.net.deliver(&letter);
                }
            }
            Event::Race(one, other) => self.race(one, other),
            Event::Wait(seconds) => self.net.pass(seconds),
            Event::ServerClock(off) => {
                lock(&self.net.server).clocks.server_off.store(off, Ordering::Relaxed);
            }
            Event::PhoneClock(off) => *lock(&self.holder.port.skew) = off,
            Event::Restart => self.back_up(),
            Event::Restore(which) => self.restore(which),
        }
        lock(&self.net.trouble).take();
    }

    /// The network heals, locks run out: the honest phone learns the truth, and then can do what it should.
    pub(crate) fn end(mut self) {
        self.net.restart();
        {
            let server = lock(&self.net.server);
            let ahead = server.running().service.now().0;
            let truth = server.clocks.truth.load(Ordering::Relaxed).max(ahead);
            server.clocks.server_off.store(0, Ordering::Relaxed);
            // Also past ceremonies, leases and locks, and every time that was said and not kept.
            server.clocks.truth.store(truth + 26 * 3600, Ordering::Relaxed);
        }
        *lock(&self.holder.port.skew) = 0;
        self.reopen();
        let device = self.holder.device;
        let known = lock(&self.net.laws).device(device).is_some();
        if known {
            self.ends_well(device);
        } else {
            self.enrols_at_last();
        }
        self.net.check(&lock(&self.net.server));
    }

    fn ends_well(&mut self, device: DeviceId) {
        let unfinished = self.holder.phone.unfinished();
        match self.holder.phone.resume() {
            Ok(None) => assert_eq!(unfinished, None),
            Ok(Some((request, outcome))) => self.is_the_truth(request, &outcome),
            Err(error) => assert!(self.is_over(device, &error), "no outcome: {error:?}"),
        }
        let status = self.holder.phone.status();
        self.ask();
        let good = lock(&self.net.laws).device(device).unwrap().is_good();
        let Ok(status) = status else {
            assert!(!good || self.was_copied(device), "no status: {status:?}");
            return;
        };
        if !good || status.attempts.blocked {
            return;
        }
        self.hand(Who::Holder, device, true);
        let listed = self.holder.phone.requests().unwrap();
        let object = listed.into_iter().next_back().unwrap();
        let request = object.request;
        let entered = pin(lock(&self.net.hand).pin);
        let signed =
            self.holder.phone.fetch(object).and_then(|shown| self.holder.phone.approve(shown, &entered));
        match signed {
            Ok(Approved::Signed(signed)) => assert_eq!(signed.request, request),
            other => assert!(self.was_copied(device), "an honest phone cannot sign: {other:?}"),
        }
    }

    fn enrols_at_last(&mut self) {
        let code = code(&self.net).unwrap();
        *lock(&self.net.hand) = Hand { who: Who::Holder, pin: 0, to: 0 };
        self.holder.phone.enrol(SuiteId::FrostSecp256k1Sha256, &code, &pin(0)).unwrap();
    }

    fn was_copied(&self, device: DeviceId) -> bool {
        lock(&self.net.laws).device(device).is_some_and(|device| device.was_copied())
    }

    /// Whether an error is the truth about an installation that has ended, or was copied.
    fn is_over(&self, device: DeviceId, error: &ClientError) -> bool {
        let mut laws = lock(&self.net.laws);
        let device = laws.device(device).unwrap();
        let revoked = matches!(error, ClientError::Problem(problem) if problem.code == ProblemCode::Revoked);
        device.was_copied() || device.is_revoked() && revoked
    }

    fn is_the_truth(&self, request: RequestId, outcome: &Outcome) {
        let signed = lock(&self.net.laws).is_signed(request);
        match outcome {
            Outcome::Signed { verified, .. } => assert!(signed && (*verified || self.thief.is_some())),
            other => assert!(!signed, "{other:?} of a request that is signed"),
        }
    }

    // The bank and the operator.

    fn ask(&self) {
        let asked = self.net.operate(None, |server| {
            let request = CreateRequest {
                person: PERSON.into(),
                text: "Please sign.".into(),
                documents: vec![DocumentDigest {
                    name: "contract".into(),
                    sha256: "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=".into(),
                }],
                expires_in: Some(86_400),
                ..CreateRequest::default()
            };
            let made = server.call(async |running| {
                running.service.create_request(running.bank.as_ref().unwrap(), request, None).await
            });
            match made {
                Some(Ok(made)) => lock(&self.net.laws).asked(made.id),
                Some(Err(ServiceError::Refused(refusal))) if refusal.code == ProblemCode::TooMany => {}
                other => panic!("{other:?}"),
            }
            true
        });
        assert!(asked);
    }

    fn cancel(&self, which: u8) {
        let all = lock(&self.net.laws).requests();
        let Some(request) = choose(&all, which).copied() else { return };
        self.net.operate(None, |server| {
            let done = server.call(async |running| {
                running.service.cancel_request(running.bank.as_ref().unwrap(), request).await
            });
            if done.unwrap().is_ok() {
                lock(&self.net.laws).cancelled(request);
            }
            true
        });
    }

    fn suspend(&self, suspended: bool, crash: Option<Crash>) {
        let device = self.holder.device;
        let answer = self.net.operate(crash, |server| {
            matches!(
                server.call(async |running| running.service.suspend_device(device, suspended).await),
                Some(Ok(()))
            )
        });
        self.learn(device, answer, |known| known.suspend(suspended));
    }

    fn revoke(&self, crash: Option<Crash>) {
        let device = self.holder.device;
        let reason = RevocationReason::KeyCompromise;
        let answer = self.net.operate(crash, |server| {
            matches!(
                server.call(async |running| running.service.revoke_device(device, reason).await),
                Some(Ok(()))
            )
        });
        self.learn(device, answer, crate::laws::Device::revoke);
    }

    /// What the operator was told holds. What was not answered may or may not have been done: the store decides.
    fn learn(&self, device: DeviceId, told: bool, change: impl FnOnce(&mut crate::laws::Device)) {
        let down = lock(&self.net.server).running.is_none();
        if told || down {
            // A crash comes with the commit: the act is durable.
            if let Some(known) = lock(&self.net.laws).device(device) {
                change(known);
            }
        }
        self.net.restart();
    }

    fn back_up(&mut self) {
        let mut server = lock(&self.net.server);
        self.copies.push(server.copy());
        drop(server);
        self.net.restart();
    }

    /// An older copy of the file must not start; then the newest comes back.
    fn restore(&self, which: u8) {
        let Some(copy) = choose(&self.copies, which) else { return };
        {
            let mut server = lock(&self.net.server);
            let newest = server.copy();
            std::fs::write(&server.path, copy).unwrap();
            assert!(server.start().is_err(), "a restored store was started");
            std::fs::write(&server.path, newest).unwrap();
        }
        self.net.restart();
    }

    // Phones.

    /// Whoever acts: sets the PIN that will be entered, and says whether there is such a phone.
    fn hand(&self, who: Who, device: DeviceId, right: bool) -> Option<u8> {
        let handset = self.of(who)?;
        let epoch = handset.phone.enrolled().map_or(0, |enrolled| enrolled.context.epoch.0);
        let known = match &handset.knows {
            Some(knows) => knows.get(&epoch).copied(),
            None => lock(&self.net.laws).pin(device, epoch),
        };
        let pin = if right { known.unwrap_or(WRONG) } else { WRONG };
        *lock(&self.net.hand) = Hand { who, pin, to: WRONG };
        Some(pin)
    }

    const fn of(&self, who: Who) -> Option<&Handset> {
        match who {
            Who::Holder => Some(&self.holder),
            Who::Thief => self.thief.as_ref(),
        }
    }

    fn phone(&mut self, who: Who) -> &mut Phone {
        match who {
            Who::Holder => &mut self.holder.phone,
            Who::Thief => &mut self.thief.as_mut().unwrap().phone,
        }
    }

    fn approve(&mut self, who: Who, which: u8, right: bool, trouble: Option<Trouble>) {
        let Some(device) = self.of(who).map(|handset| handset.device) else { return };
        let Some(entered) = self.hand(who, device, right) else { return };
        *lock(&self.net.trouble) = trouble;
        let net = Arc::clone(&self.net);
        let phone = self.phone(who);
        let listed = match phone.requests() {
            Ok(listed) => listed,
            Err(error) => return self.expected(who, &error),
        };
        let Some(object) = choose(&listed, which).cloned() else { return };
        let request = object.request;
        let done = phone.fetch(object).and_then(|shown| {
            net.pass(1);
            phone.approve(shown, &pin(entered))
        });
        match done {
            Ok(Approved::Signed(signed)) => {
                assert_eq!(signed.request, request);
                assert!(lock(&self.net.laws).is_signed(request), "a signature the server does not remember");
            }
            Ok(Approved::WrongPin(_)) => {}
            Ok(Approved::KeyEnded) => panic!("a key ended"),
            Err(error) => self.expected(who, &error),
        }
    }

    fn look(&mut self, who: Who, trouble: Option<Trouble>) {
        if self.of(who).is_none() {
            return;
        }
        *lock(&self.net.trouble) = trouble;
        match self.phone(who).resume() {
            Ok(None) => {}
            Ok(Some((request, outcome))) => self.is_the_truth(request, &outcome),
            Err(error) => self.expected(who, &error),
        }
    }

    fn change_pin(&mut self, who: Who, to: u8, right: bool, trouble: Option<Trouble>) {
        let Some(device) = self.of(who).map(|handset| handset.device) else { return };
        let Some(old) = self.hand(who, device, right) else { return };
        let to = to % WRONG;
        lock(&self.net.hand).to = to;
        *lock(&self.net.trouble) = trouble;
        match self.phone(who).change_pin(&pin(old), &pin(to)) {
            Ok(enrolled) => {
                let known = lock(&self.net.laws).pin(device, enrolled.context.epoch.0);
                assert_eq!(known, Some(to), "the phone has shares that the server has not");
                if let Some(knows) = self.thief.as_mut().filter(|_| who == Who::Thief) {
                    let knows = knows.knows.get_or_insert_default();
                    knows.insert(enrolled.context.epoch.0, to);
                }
            }
            Err(error) => self.expected(who, &error),
        }
    }

    fn reopen(&mut self) {
        let Handset { port, device, .. } = &self.holder;
        let phone = open(port.clone(), &self.draws);
        self.holder = Handset { port: port.clone(), phone, device: *device, knows: None };
    }

    fn copy(&mut self, back: u8, knows_pin: bool) {
        let images = lock(&self.holder.port.images).clone();
        let Some(newest) = images.len().checked_sub(1) else { return };
        let image = images[newest.saturating_sub(back.into())].clone();
        let port = Port {
            images: Arc::new(Mutex::new(vec![image])),
            skew: Arc::default(),
            ..self.holder.port.clone()
        };
        let mut laws = lock(&self.net.laws);
        if let Some(device) = laws.device(self.holder.device) {
            device.copy();
        }
        drop(laws);
        let phone = open(port.clone(), &self.draws);
        let device = self.holder.device;
        let epoch = phone.enrolled().map_or(0, |enrolled| enrolled.context.epoch.0);
        let pin = lock(&self.net.laws).pin(device, epoch).filter(|_| knows_pin);
        let knows = Some(pin.map(|pin| (epoch, pin)).into_iter().collect());
        self.thief = Some(Handset { port, phone, device, knows });
    }

    fn enrol(&mut self, trouble: Option<Trouble>) {
        let Some(code) = code(&self.net) else { return };
        let number = self.draws.fetch_add(1, Ordering::Relaxed);
        let mut new = handset(&self.net, number, Vec::new(), None, &self.draws);
        *lock(&self.net.hand) = Hand { who: Who::Holder, pin: 0, to: 0 };
        *lock(&self.net.trouble) = trouble;
        let enrolled = new.phone.enrol(SuiteId::FrostSecp256k1Sha256, &code, &pin(0));
        lock(&self.net.trouble).take();
        self.net.restart();
        let there = lock(&self.net.laws).device(new.device).is_some();
        match enrolled {
            Ok(_) => assert!(there, "a phone is enrolled that the server does not know"),
            Err(error) => {
                self.expected(Who::Holder, &error);
                assert!(!there || new.phone.is_undecided(), "a phone threw away a key that lives: {error:?}");
            }
        }
        // A key that may live is kept until it is known; then it is the holder's.
        if there || new.phone.is_undecided() && lock(&self.net.laws).device(self.holder.device).is_none() {
            (self.holder, self.thief) = (new, None);
        }
    }

    fn letter(&self, which: u8) -> Option<Letter> {
        let letters = lock(&self.net.letters);
        // The newest are the ones that matter.
        letters.iter().rev().nth(usize::from(which) % letters.len().clamp(1, 12)).cloned()
    }

    /// Both at the same moment; the server takes one first, and each is looked at as if alone.
    fn race(&self, one: u8, other: u8) {
        let (Some(one), Some(other)) = (self.letter(one), self.letter(other)) else { return };
        let server = lock(&self.net.server);
        let row = one.device().and_then(|device| installation(&server, device));
        server.race(&one.path, &one.body, &other.path, &other.body);
        let mut laws = lock(&self.net.laws);
        // A try that was cut short opens the lock that it made, if its PIN is right.
        let judged = one.device() == other.device() && !laws.was_cut(&one) && !laws.was_cut(&other);
        laws.raced(&one, &other);
        drop(laws);
        self.net.look_at_all(&server, &[&one, &other], row.as_ref().filter(|_| judged));
    }

    /// Refusals and silence that a phone must expect. Anything else is somebody's fault.
    fn expected(&self, who: Who, error: &ClientError) {
        use ProblemCode::*;
        let fine = match error {
            ClientError::Transport(_) | ClientError::OutcomeUnknown(_) | ClientError::WrongPin(_) => true,
            ClientError::State(state) => match state {
                StateError::Unfinished | StateError::KeyChanged => true,
                StateError::OtherShares => self.was_copied(self.of(who).unwrap().device),
                StateError::NotEnrolled => self.of(who).unwrap().phone.enrolled().is_none(),
                _ => false,
            },
            ClientError::Problem(problem) if problem.code == Overtaken => {
                self.was_copied(self.of(who).unwrap().device)
            }
            ClientError::Problem(problem) => matches!(
                problem.code,
                Stale
                    | Busy
                    | Locked
                    | Blocked
                    | Frozen
                    | Revoked
                    | Suspended
                    | RequestClosed
                    | TooMany
                    | CeremonyUnknown
                    | CeremonyFailed
                    | NotTheDevice
                    | NotFound
                    | EnrolmentCode
                    | AlreadyEnrolled
                    | Clock
            ),
            // The server said a time and stepped back before it kept anything.
            ClientError::ServerMisbehaved("its signed time went back") => true,
            // An old state with a key of the same epoch that was never confirmed cannot tell it from the one that was.
            ClientError::ServerMisbehaved("its first signature under the new key is not valid") => {
                self.was_copied(self.of(who).unwrap().device)
            }
            _ => false,
        };
        assert!(fine, "{who:?}: {error:?}");
    }
}

fn handset(
    net: &Arc<Net>,
    number: u64,
    images: Vec<Vec<u8>>,
    knows: Option<BTreeMap<u32, u8>>,
    draws: &AtomicU64,
) -> Handset {
    let key = keystore(number);
    let device = key.public_key().unwrap().device_id();
    let port = Port {
        net: Arc::clone(net),
        images: Arc::new(Mutex::new(images)),
        skew: Arc::default(),
        key: Arc::new(Mutex::new(key)),
    };
    let phone = open(port.clone(), draws);
    Handset { port, phone, device, knows }
}

fn open(port: Port, draws: &AtomicU64) -> Phone {
    let seed = draws.fetch_add(0x9e37_79b9, Ordering::Relaxed);
    let ports = Ports {
        key: Box::new(Keystore(Arc::clone(&port.key))),
        http: Box::new(port.clone()),
        storage: Box::new(port.clone()),
        clock: Box::new(port),
        rng: Box::new(StdRng::seed_from_u64(seed)),
    };
    let options = PhoneOptions { pin_cost: PinCost::TEST, retry_waits: WAITS, ..PhoneOptions::default() };
    Phone::open(ports, options).unwrap()
}

fn code(net: &Net) -> Option<String> {
    let asked = CreateEnrolmentCode { person: PERSON.into(), expires_in: None };
    let made = lock(&net.server).call(async |running| running.service.create_enrolment_code(asked).await);
    made.map(|made| made.unwrap().code)
}

fn pin(number: u8) -> Pin {
    Pin::entered(PINS[usize::from(number)]).unwrap()
}

fn choose<T>(all: &[T], which: u8) -> Option<&T> {
    all.get(usize::from(which) % all.len().max(1))
}
