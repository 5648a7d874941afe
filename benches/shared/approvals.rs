//! A whole server in this process, with its store on disk, and phones that hold 64 approvals in flight.
//!
//! Phones are played by the types of `signer-core`, without the work on the PIN, which is the phone's alone. Approvals are
//! prepared before the clock starts: request made, fetched, contributed, signed, sealed.

use std::{
    fmt,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    elliptic_curve::Generate as _,
};
use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::{
    approval::RequestObject,
    ceremony::DeviceEnrolment,
    codec::{self, Text},
    device_key::{DevicePublicKeyBytes, DeviceSignature, ToSign},
    ids::DeviceId,
    pin::{PinCost, PinMask, Salt, UnlockedKey},
    secret::SecretBytes,
    signing::FetchSent,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{
        CreateEnrolmentCode, CreateRelyingParty, CreateRequest, DocumentDigest, EnrolConfirm, EnrolmentCode,
        Envelope, Evaluated, Exchange, REPLY_BYTES_MAX, RequestsQuery, Token, WireSecret,
    },
};
use signer_server::{
    app::App,
    config::Config,
    service::Service,
    store::{RelyingPartyRow, Store},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    alternate::{process_cpu, thread_cpu},
    enrolment::holder_keys,
};

/// Approvals in flight: so many phones, each with one connection, each sending its next when it has its answer.
pub const IN_FLIGHT: usize = 64;

/// The server, and the phones enrolled with it.
pub struct World {
    runtime: Runtime,
    address: SocketAddr,
    service: Arc<Service>,
    store: Arc<dyn Store>,
    bank: RelyingPartyRow,
    phones: Vec<Phone>,
    _folder: TempDir,
}

/// Sealed approvals, one list for each phone.
pub type Prepared = Vec<Vec<Vec<u8>>>;

/// What one batch of approvals took.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Signatures made.
    pub signatures: f64,
    /// By the clock on the wall.
    pub wall: Duration,
    /// CPU time of the server's threads.
    pub server_cpu: Duration,
    /// Transactions committed meanwhile.
    pub commits: f64,
}

impl World {
    /// Starts the server on an empty folder and enrols the phones with keys of `suite`.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn new(suite: SuiteId) -> Self {
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: folder.path().join("data"),
            ..Config::default()
        };
        let app = runtime.block_on(App::start(config)).unwrap();
        let (address, service, store) = (app.address().unwrap(), app.service(), app.store());
        runtime.spawn(app.run(std::future::pending()));
        let bank = runtime.block_on(register(&service));
        let phones = runtime.block_on(together((0..IN_FLIGHT).map(|number| {
            let service = Arc::clone(&service);
            async move { (number, Phone::enrol(&service, suite, number).await) }
        })));
        Self { runtime, address, service, store, bank, phones, _folder: folder }
    }

    /// Makes `each` approvals ready on every phone.
    ///
    /// # Panics
    /// If anything fails.
    pub fn prepare(&mut self, each: usize) -> Prepared {
        let phones = std::mem::take(&mut self.phones);
        let worked =
            self.runtime.block_on(together(phones.into_iter().enumerate().map(|(number, mut phone)| {
                let (service, bank) = (Arc::clone(&self.service), self.bank.clone());
                async move {
                    let approvals = phone.approvals(&service, &bank, each).await;
                    (number, (phone, approvals))
                }
            })));
        let (phones, approvals) = worked.into_iter().unzip();
        self.phones = phones;
        approvals
    }

    /// Sends prepared approvals over HTTP, every phone on a thread and a connection of its own.
    ///
    /// # Panics
    /// If one is not signed.
    #[must_use]
    pub fn over_http(&self, prepared: Prepared) -> Measured {
        let barrier = Arc::new(Barrier::new(prepared.len() + 1));
        let threads: Vec<_> = prepared
            .into_iter()
            .map(|approvals| {
                let (barrier, address) = (Arc::clone(&barrier), self.address);
                std::thread::spawn(move || {
                    let mut connection = Connection::open(address);
                    barrier.wait();
                    let start = thread_cpu();
                    let replies: Vec<_> =
                        approvals.iter().map(|approval| connection.approve(approval)).collect();
                    let cpu = thread_cpu() - start;
                    (replies, cpu, Instant::now())
                })
            })
            .collect();
        let commits = self.store.commits();
        let cpu = process_cpu();
        let start = Instant::now();
        barrier.wait();
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let cpu = process_cpu() - cpu;
        let end = done.iter().map(|one| one.2).max().unwrap();
        let clients: Duration = done.iter().map(|one| one.1).sum();
        let replies: Vec<_> = done.into_iter().flat_map(|one| one.0).collect();
        replies.iter().for_each(|reply| assert_signed(&codec::decode(reply, REPLY_BYTES_MAX).unwrap()));
        Measured {
            signatures: count(replies.len()),
            wall: end - start,
            server_cpu: cpu.saturating_sub(clients),
            commits: count_u64(self.store.commits() - commits),
        }
    }

    /// Gives prepared approvals to the service itself, every phone a task of its own.
    ///
    /// # Panics
    /// If one is not signed.
    #[must_use]
    pub fn without_http(&self, prepared: Prepared) -> Measured {
        let commits = self.store.commits();
        let cpu = process_cpu();
        let start = Instant::now();
        let replies =
            self.runtime.block_on(together(prepared.into_iter().enumerate().map(|(number, approvals)| {
                let service = Arc::clone(&self.service);
                async move {
                    let mut replies = Vec::new();
                    for approval in approvals {
                        replies.push(service.approve(&approval).await.unwrap());
                    }
                    (number, replies)
                }
            })));
        let (wall, cpu) = (start.elapsed(), process_cpu() - cpu);
        let replies: Vec<_> = replies.into_iter().flatten().collect();
        replies.iter().for_each(assert_signed);
        Measured {
            signatures: count(replies.len()),
            wall,
            server_cpu: cpu,
            commits: count_u64(self.store.commits() - commits),
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World({})", self.address)
    }
}

fn assert_signed(reply: &Evaluated) {
    assert!(matches!(reply, Evaluated::Signed { .. }), "{reply:?}");
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn count_u64(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// Runs numbered tasks at once; their results in the order of the numbers.
async fn together<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = (usize, T)> + Send + 'static>,
) -> Vec<T> {
    let mut results = tasks.collect::<JoinSet<_>>().join_all().await;
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

async fn register(service: &Service) -> RelyingPartyRow {
    let asked = CreateRelyingParty {
        name: "Bank of Examples".into(),
        may_ask: true,
        may_verify: false,
        report: Vec::new(),
        report_deceased: false,
        generates_for: None,
    };
    let created = service.create_relying_party(asked).await.unwrap();
    service.relying_party(&created.token).await.unwrap()
}

/// A phone with its key unlocked.
#[derive(Debug)]
struct Phone {
    person: String,
    rng: StdRng,
    device_key: SigningKey,
    device: DeviceId,
    token: Token,
    key: UnlockedKey,
}

impl Phone {
    async fn enrol(service: &Service, suite: SuiteId, number: usize) -> Self {
        let person = format!("person-{number}");
        let mut rng = StdRng::seed_from_u64(number.try_into().unwrap());
        let device_key = SigningKey::generate_from_rng(&mut rng);
        let public = device_key.verifying_key().to_sec1_point(true);
        let public = DevicePublicKeyBytes(public.as_bytes().try_into().unwrap());
        let device = public.device_id();
        let now = service.now();

        let asked = CreateEnrolmentCode { person: person.clone(), expires_in: None };
        let code = service.create_enrolment_code(asked).await.unwrap().code;
        let code = EnrolmentCode(Text::new(code).unwrap());
        let (enrolment, start) =
            DeviceEnrolment::start(suite, public, code, holder_keys(device), &mut rng).unwrap();
        let started = service.enrol_start(&seal(&device_key, device, now, &start)).await.unwrap();
        let hedge = SecretBytes::random(&mut rng);
        let (keyed, keys) = enrolment.keys(&started, &hedge, &mut rng).unwrap();
        let reply = service.enrol_keys(&seal(&device_key, device, now, &keys)).await.unwrap();
        let (ready, token) = keyed.ready(reply, &mut rng).unwrap();
        let context = *ready.context();
        let mask = || PinMask::derive(&SecretBytes::new([4; 32]), &context);
        let (unproven, confirmation) =
            ready.confirm(mask(), Salt::random(&mut rng), PinCost::FLOOR, &mut rng).unwrap();
        let confirm = EnrolConfirm(confirmation);
        let confirmed = service.enrol_confirm(&seal(&device_key, device, now, &confirm)).await.unwrap();
        let key = unproven.prove(&confirmed).unwrap().unmask(mask());
        Self { person, rng, device_key, device, token, key }
    }

    async fn approvals(&mut self, service: &Service, bank: &RelyingPartyRow, each: usize) -> Vec<Vec<u8>> {
        for _ in 0..each {
            service.create_request(bank, self.request(), None).await.unwrap();
        }
        let listed = service.pending(&self.seal(service.now(), &RequestsQuery {})).await.unwrap().requests;
        assert_eq!(listed.len(), each);
        let mut approvals = Vec::new();
        for object in listed {
            approvals.push(self.approval(service, object).await);
        }
        approvals
    }

    fn request(&self) -> CreateRequest {
        let sha256 = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=".into();
        CreateRequest {
            person: self.person.clone(),
            text: "Please sign the contract for your new account.".into(),
            documents: vec![DocumentDigest { name: "contract.pdf".into(), sha256 }],
            expires_in: None,
        }
    }

    /// The token stays the first one: presenting it again is allowed until a newer one is presented.
    async fn approval(&mut self, service: &Service, object: RequestObject) -> Vec<u8> {
        let now = service.now();
        let hedge = SecretBytes::random(&mut self.rng);
        let (sent, fetch) = FetchSent::start(*self.key.context(), object, &hedge, &mut self.rng).unwrap();
        let fetched = service.fetch(&self.seal(now, &fetch)).await.unwrap();
        let token = WireSecret(self.token.0.duplicate());
        let approval = sent.shown(fetched).unwrap().approve(&self.key, token, now).unwrap();
        let signature = sign(&self.device_key, approval.to_sign());
        let (approve, _) = approval.complete(signature);
        self.seal(now, &approve)
    }

    fn seal<E: Exchange>(&self, now: UnixSeconds, body: &E) -> Vec<u8> {
        seal(&self.device_key, self.device, now, body)
    }
}

fn seal<E: Exchange>(key: &SigningKey, device: DeviceId, now: UnixSeconds, body: &E) -> Vec<u8> {
    let body = codec::encode(body);
    let signature = sign(key, Envelope::to_sign::<E>(device, now, &body));
    Envelope::seal::<E>(device, now, body, signature).unwrap()
}

fn sign(key: &SigningKey, message: ToSign) -> DeviceSignature {
    let signature: Signature = key.sign(&message.0);
    DeviceSignature(signature.normalize_s().to_bytes().into())
}

/// The least HTTP client: one connection, kept alive, one request at a time.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn approve(&mut self, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST /device/v1/approve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cbor\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.clone();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut reply = vec![0; length];
        self.0.read_exact(&mut reply).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{status} {}", String::from_utf8_lossy(&reply));
        reply
    }
}
