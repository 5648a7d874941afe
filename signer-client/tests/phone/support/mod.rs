//! A phone whose surroundings are all in memory, and the server's half of the protocol behind its `Http` port.

mod server;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use signer_client::{ClientError, Phone, PhoneOptions, desk::SoftwareKey, ports::*};
use signer_core::{
    device_key::{DevicePublicKeyBytes, DeviceSignature, ToSign},
    pin::{Pin, PinCost, Stretched},
    secret::SecretBytes,
    suite::SuiteId,
    time::UnixSeconds,
};

pub(crate) use server::Server;

pub(crate) const PIN: &str = "739146";
pub(crate) const OTHER_PIN: &str = "582093";
pub(crate) const WRONG_PIN: &str = "264917";
pub(crate) const CODE: &str = "GOOD-CODE";
/// The suite of tests that need a key of any suite.
pub(crate) const SUITE: SuiteId = SuiteId::Es256;
pub(crate) const START: u64 = 1_800_000_000;

/// What goes wrong on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The request does not arrive.
    LoseRequest,
    /// The request is carried out, its answer does not arrive.
    LoseAnswer,
    /// Something between answers 502; the request does not arrive.
    Gateway,
    /// A captive portal answers with its own page; the request does not arrive.
    Portal,
}

/// When it goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Path whose requests are counted; empty for all.
    pub(crate) path: &'static str,
    /// Requests that pass before.
    pub(crate) after: usize,
    /// How many are hit.
    pub(crate) times: usize,
    pub(crate) mishap: Mishap,
}

pub(crate) struct World {
    /// The suite of its phones.
    pub(crate) suite: SuiteId,
    pub(crate) server: Mutex<Server>,
    pub(crate) clock: Mutex<TestClock>,
    pub(crate) key: Mutex<SoftwareKey>,
    pub(crate) images: Mutex<Vec<Vec<u8>>>,
    pub(crate) current: Mutex<Option<Vec<u8>>>,
    /// Stores that still succeed; `None` for all.
    pub(crate) stores_left: Mutex<Option<usize>>,
    pub(crate) plans: Mutex<VecDeque<Plan>>,
    /// Path and body of everything that was sent.
    pub(crate) sent: Mutex<Vec<(String, Vec<u8>)>>,
    seed: Mutex<u64>,
}

pub(crate) struct TestClock {
    /// The true time, which is the server's.
    pub(crate) truth: Duration,
    /// How far the phone's wall clock is off, seconds.
    pub(crate) skew: i64,
    pub(crate) run: u8,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::new(text).unwrap()
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Self::of(SUITE, seed)
    }

    pub(crate) fn of(suite: SuiteId, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            suite,
            server: Mutex::new(Server::new(StdRng::seed_from_u64(seed + 1))),
            clock: Mutex::new(TestClock { truth: Duration::from_secs(START), skew: 0, run: 1 }),
            key: Mutex::new(SoftwareKey::in_memory(Box::new(StdRng::seed_from_u64(seed + 2)))),
            images: Mutex::default(),
            current: Mutex::default(),
            stores_left: Mutex::default(),
            plans: Mutex::default(),
            sent: Mutex::default(),
            seed: Mutex::new(seed + 3),
        })
    }

    /// Starts the app: a new process over what is stored.
    pub(crate) fn try_phone(self: &Arc<Self>) -> Result<Phone, ClientError> {
        self.open(PhoneOptions::default())
    }

    pub(crate) fn phone_with(self: &Arc<Self>, options: PhoneOptions) -> Phone {
        self.open(options).unwrap()
    }

    fn open(self: &Arc<Self>, options: PhoneOptions) -> Result<Phone, ClientError> {
        *lock(&self.seed) += 1;
        let ports = Ports {
            http: Box::new(Port(self.clone())),
            key: Box::new(Port(self.clone())),
            storage: Box::new(Port(self.clone())),
            clock: Box::new(Port(self.clone())),
            rng: Box::new(StdRng::seed_from_u64(*lock(&self.seed))),
        };
        Phone::open(ports, PhoneOptions { pin_cost: PinCost::FLOOR, ..options })
    }

    pub(crate) fn phone(self: &Arc<Self>) -> Phone {
        self.try_phone().unwrap()
    }

    /// An enrolled phone.
    pub(crate) fn enrolled(self: &Arc<Self>) -> Phone {
        let mut phone = self.phone();
        phone.enrol(self.suite, CODE, &pin(PIN)).unwrap();
        phone
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        lock(&self.server)
    }

    pub(crate) fn clock(&self) -> MutexGuard<'_, TestClock> {
        lock(&self.clock)
    }

    pub(crate) fn plan(&self, path: &'static str, after: usize, times: usize, mishap: Mishap) {
        lock(&self.plans).push_back(Plan { path, after, times, mishap });
    }

    pub(crate) fn heal(&self) {
        lock(&self.plans).clear();
        *lock(&self.stores_left) = None;
    }

    pub(crate) fn images(&self) -> Vec<Vec<u8>> {
        lock(&self.images).clone()
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        lock(&self.current).clone().unwrap()
    }

    pub(crate) fn set_image(&self, image: Vec<u8>) {
        *lock(&self.current) = Some(image);
    }

    /// Bodies sent to a path.
    pub(crate) fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        lock(&self.sent).iter().filter(|(to, _)| to.starts_with(path)).map(|(_, body)| body.clone()).collect()
    }

    pub(crate) fn forget_sent(&self) {
        lock(&self.sent).clear();
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock().truth += Duration::from_secs(seconds);
    }
}

struct Port(Arc<World>);

impl Http for Port {
    fn server(&self) -> &str {
        "https://signer.test"
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let world = &self.0;
        lock(&world.sent).push((request.path.clone(), request.body.to_vec()));
        let mishap = lock(&world.plans).iter_mut().find_map(|plan| {
            if !request.path.starts_with(plan.path) || plan.times == 0 {
                return None;
            }
            if plan.after > 0 {
                plan.after -= 1;
                return None;
            }
            plan.times -= 1;
            Some(plan.mishap)
        });
        let now = UnixSeconds(world.clock().truth.as_secs());
        let answer = || {
            let (status, content_type, body) = world.server().answer(&request.path, &request.body, now);
            Ok(HttpResponse { status, content_type: content_type.into(), body: body.into() })
        };
        match mishap {
            None => answer(),
            Some(Mishap::LoseRequest) => Err(TransportError::Unreachable("test".into())),
            Some(Mishap::LoseAnswer) => answer().and(Err(TransportError::Timeout)),
            Some(Mishap::Gateway) => Ok(page(502)),
            Some(Mishap::Portal) => Ok(page(200)),
        }
    }

    fn stream(&self, request: &HttpRequest) -> Result<HttpStream, TransportError> {
        let HttpResponse { status, content_type, body } = self.send(request)?;
        Ok(HttpStream { status, content_type, body: Box::new(std::io::Cursor::new(body.to_vec())) })
    }
}

fn page(status: u16) -> HttpResponse {
    HttpResponse { status, content_type: "text/html".into(), body: Default::default() }
}

impl Clock for Port {
    fn wall(&self) -> UnixSeconds {
        let clock = self.0.clock();
        UnixSeconds(clock.truth.as_secs().saturating_add_signed(clock.skew))
    }

    fn monotonic(&self) -> Monotonic {
        let clock = self.0.clock();
        Monotonic { run: [clock.run; 16], elapsed: clock.truth - Duration::from_secs(START - 1000) }
    }

    fn sleep(&self, time: Duration) {
        self.0.clock().truth += time;
    }
}

impl Storage for Port {
    fn load(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(lock(&self.0.current).clone())
    }

    fn store(&mut self, image: &[u8]) -> Result<(), StorageError> {
        if let Some(left) = &mut *lock(&self.0.stores_left) {
            if *left == 0 {
                return Err(StorageError("full".into()));
            }
            *left -= 1;
        }
        lock(&self.0.images).push(image.to_vec());
        *lock(&self.0.current) = Some(image.to_vec());
        Ok(())
    }

    fn erase(&mut self) -> Result<(), StorageError> {
        *lock(&self.0.current) = None;
        Ok(())
    }
}

impl HardwareKey for Port {
    fn public_key(&self) -> Result<DevicePublicKeyBytes, KeystoreError> {
        lock(&self.0.key).public_key()
    }
    fn sign(&self, message: ToSign) -> Result<DeviceSignature, KeystoreError> {
        lock(&self.0.key).sign(message)
    }
    fn bind(&self, stretched: &Stretched) -> Result<SecretBytes<32>, KeystoreError> {
        lock(&self.0.key).bind(stretched)
    }
    fn derive(&self, purpose: Purpose, input: &[u8]) -> Result<SecretBytes<32>, KeystoreError> {
        lock(&self.0.key).derive(purpose, input)
    }
    fn new_day_key(&mut self) -> Result<(DayKeyHandle, DevicePublicKeyBytes), KeystoreError> {
        lock(&self.0.key).new_day_key()
    }
    fn sign_with_day_key(&self, key: DayKeyHandle, message: &[u8]) -> Result<[u8; 64], KeystoreError> {
        lock(&self.0.key).sign_with_day_key(key, message)
    }
    fn keep_day_keys(&mut self, keep: &[DayKeyHandle]) -> Result<(), KeystoreError> {
        lock(&self.0.key).keep_day_keys(keep)
    }
    fn reset(&mut self) -> Result<(), KeystoreError> {
        lock(&self.0.key).reset()
    }
}
