//! Phones for tests: state in memory or copied at will, a network that loses what it is told to lose.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use signer_client::{
    Approved, ClientError, Outcome, Phone, PhoneOptions, Ports,
    desk::{SoftwareKey, system_rng},
    http::{NetworkHttp, NetworkOptions},
    ports::{
        Clock, HardwareKey, Http, HttpRequest, HttpResponse, HttpStream, Storage, StorageError,
        TransportError,
    },
};
use signer_core::{
    approval::RequestObject,
    codec,
    device_key::DevicePublicKeyBytes,
    ids::RequestId,
    pin::Pin,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{Envelope, Exchange},
};

/// The suite of tests that need a key of any suite.
pub(crate) const SUITE: SuiteId = SuiteId::Es256;

/// A state image in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStorage(Arc<Mutex<Option<Vec<u8>>>>);

impl MemoryStorage {
    pub(crate) fn image(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn of(image: Option<Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(image)))
    }
}

impl Storage for MemoryStorage {
    fn load(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.image())
    }

    fn store(&mut self, image: &[u8]) -> Result<(), StorageError> {
        *self.0.lock().unwrap() = Some(image.to_vec());
        Ok(())
    }

    fn erase(&mut self) -> Result<(), StorageError> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives.
    LoseRequest,
    /// It arrives, its answer does not.
    LoseAnswer,
}

/// One exchange as it passed.
#[derive(Clone)]
pub(crate) struct Passed {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) reply: Option<Vec<u8>>,
}

#[derive(Default)]
struct WireState {
    faults: HashMap<String, Vec<Fault>>,
    passed: Vec<Passed>,
}

/// The cable between phone and server, in the test's hand.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<WireState>>);

impl Wire {
    /// The next message of `operation` meets `fault`; told twice, the next two.
    pub(crate) fn fail(&self, operation: &str, fault: Fault) {
        let path = format!("/device/v1/{operation}");
        self.0.lock().unwrap().faults.entry(path).or_default().push(fault);
    }

    pub(crate) fn mend(&self) {
        self.0.lock().unwrap().faults.clear();
    }

    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.0.lock().unwrap().passed.clone()
    }

    /// What passed so far is not kept: for runs of hours.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().passed = Vec::new();
    }

    /// The first message of `operation`, sent or lost.
    pub(crate) fn first(&self, operation: &str) -> Passed {
        let path = format!("/device/v1/{operation}");
        let state = self.0.lock().unwrap();
        state.passed.iter().find(|passed| passed.path == path).cloned().unwrap()
    }

    /// The newest message of `operation`, sent or lost.
    pub(crate) fn last(&self, operation: &str) -> Passed {
        let path = format!("/device/v1/{operation}");
        let state = self.0.lock().unwrap();
        state.passed.iter().rev().find(|passed| passed.path == path).cloned().unwrap()
    }
}

struct FaultyHttp {
    /// Servers by turns: no two messages in a row go to one, where there are more.
    inner: Vec<NetworkHttp>,
    next: AtomicUsize,
    wire: Wire,
}

impl FaultyHttp {
    fn turn(&self) -> &NetworkHttp {
        &self.inner[self.next.fetch_add(1, Ordering::Relaxed) % self.inner.len()]
    }
}

impl Http for FaultyHttp {
    fn server(&self) -> &str {
        self.inner[0].server()
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let fault = {
            let mut state = self.wire.0.lock().unwrap();
            state.faults.get_mut(&request.path).and_then(Vec::pop)
        };
        let lost = || TransportError::Unreachable("lost by the test".into());
        let answer = if fault == Some(Fault::LoseRequest) { Err(lost()) } else { self.turn().send(request) };
        self.wire.0.lock().unwrap().passed.push(Passed {
            path: request.path.clone(),
            body: request.body.to_vec(),
            reply: answer.as_ref().ok().map(|answer| answer.body.to_vec()),
        });
        if fault == Some(Fault::LoseAnswer) { Err(lost()) } else { answer }
    }

    fn stream(&self, request: &HttpRequest) -> Result<HttpStream, TransportError> {
        self.turn().stream(request)
    }
}

pub(crate) fn network(server: &str) -> Box<NetworkHttp> {
    Box::new(NetworkHttp::new(server, &NetworkOptions::default()).unwrap())
}

/// A phone with everything a thief could copy.
pub(crate) struct TestPhone {
    pub(crate) phone: Phone,
    pub(crate) wire: Wire,
    pub(crate) storage: MemoryStorage,
    pub(crate) keystore: PathBuf,
}

impl TestPhone {
    /// A phone with its keystore in the file `keystore`, not enrolled unless `storage` says so. It never resends by itself.
    pub(crate) fn open(
        server: &str,
        keystore: &Path,
        storage: MemoryStorage,
        clock: impl Clock + 'static,
    ) -> Self {
        Self::open_over(vec![*network(server)], keystore, storage, clock)
    }

    /// The same over networks of one's own: its messages go over them by turns.
    pub(crate) fn open_over(
        inner: Vec<NetworkHttp>,
        keystore: &Path,
        storage: MemoryStorage,
        clock: impl Clock + 'static,
    ) -> Self {
        let wire = Wire::default();
        let (key, _) = SoftwareKey::open(keystore, system_rng()).unwrap();
        let ports = Ports {
            http: Box::new(FaultyHttp { inner, next: AtomicUsize::new(0), wire: wire.clone() }),
            key: Box::new(key),
            storage: Box::new(storage.clone()),
            clock: Box::new(clock),
            rng: system_rng(),
        };
        let options = PhoneOptions { retry_waits: &[], ..PhoneOptions::default() };
        let phone = Phone::open(ports, options).unwrap();
        Self { phone, wire, storage, keystore: keystore.to_owned() }
    }

    pub(crate) fn device_key(&self) -> DevicePublicKeyBytes {
        self.key().public_key().unwrap()
    }

    /// The keystore, opened once more.
    pub(crate) fn key(&self) -> SoftwareKey {
        SoftwareKey::open(&self.keystore, system_rng()).unwrap().0
    }

    /// An envelope by this phone's key around any body.
    pub(crate) fn seal<E: Exchange>(&self, now: u64, body: &E) -> Vec<u8> {
        self.seal_bytes::<E>(now, codec::encode(body))
    }

    pub(crate) fn seal_bytes<E: Exchange>(&self, now: u64, body: Vec<u8>) -> Vec<u8> {
        let (device, time) = (self.device_key().device_id(), UnixSeconds(now));
        let signature = self.key().sign(Envelope::to_sign::<E>(device, time, &body)).unwrap();
        Envelope::seal::<E>(device, time, body, signature).unwrap()
    }

    /// The request with this id, as listed.
    pub(crate) fn listed(&mut self, id: RequestId) -> RequestObject {
        let all = self.phone.requests().unwrap();
        all.into_iter().find(|listed| listed.request == id).unwrap()
    }

    /// List, fetch, approve.
    pub(crate) fn approve(&mut self, id: RequestId, pin: &str) -> Result<Approved, ClientError> {
        let listed = self.listed(id);
        let shown = self.phone.fetch(listed)?;
        self.phone.approve(shown, &Pin::entered(pin).unwrap())
    }

    /// The bytes of an approve that is ready and did not arrive. The phone has asked what became of it.
    pub(crate) fn prepare(&mut self, id: RequestId, pin: &str) -> Vec<u8> {
        self.wire.fail("approve", Fault::LoseRequest);
        let lost = self.approve(id, pin).unwrap_err();
        assert!(matches!(lost, ClientError::OutcomeUnknown(_)), "{lost:?}");
        assert!(matches!(self.phone.resume(), Ok(Some((_, Outcome::Open(_))))));
        self.wire.last("approve").body
    }
}
