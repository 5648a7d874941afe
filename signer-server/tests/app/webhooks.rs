//! Webhooks: a relying party is told that its requests ended. A real receiver on a port of its own.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use signer_client::{Approved, WebhookError, WebhookEvent, verify_webhook};
use signer_core::{
    ids::{RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{
        CreatedRelyingParty, CreatedRequest, DeliveryState, ProblemCode, RequestStatus, WebhookEvents,
        WebhookKeys, Webhooks,
    },
};
use tempfile::TempDir;

use crate::{
    harness::{PIN, TestApp, request},
    support::{http::Client, process::Process},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// One message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    method: String,
    path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self { method, path, headers, body })
    }

    fn verify(
        &self,
        party: RelyingPartyId,
        url: &str,
        keys: &WebhookKeys,
        now: u64,
    ) -> Result<WebhookEvent, WebhookError> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        verify_webhook(&self.method, url, party, &headers, &self.body, keys, UnixSeconds(now))
    }

    fn id(&self) -> RequestId {
        let event: Value = serde_json::from_slice(&self.body).unwrap();
        event["id"].as_str().unwrap().parse().unwrap()
    }
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    /// What is answered on a path, 204 if nothing is said; 0: nothing is, and the connection stays open.
    answers: BTreeMap<String, u16>,
    /// Connections that wait for an answer.
    open: Vec<TcpStream>,
}

/// A server of a relying party.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) origin: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let receiver = Self { origin, state: Arc::default() };
        let served = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (served, stream) = (served.clone(), stream.unwrap());
                std::thread::spawn(move || served.take(stream));
            }
        });
        receiver
    }

    fn take(&self, mut stream: TcpStream) {
        let Some(received) = Received::read(&stream) else { return };
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap();
        let status = state.answers.get(&received.path).copied().unwrap_or(204);
        state.received.push(received);
        changed.notify_all();
        if status == 0 {
            state.open.push(stream);
            return;
        }
        drop(state);
        let location =
            if status == 302 { format!("location: {}/elsewhere\r\n", self.origin) } else { String::new() };
        let head =
            format!("HTTP/1.1 {status} Status\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n");
        // A server that was killed meanwhile does not listen.
        let _gone = stream.write_all(head.as_bytes());
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(crate) fn answer(&self, path: &str, status: u16) {
        self.state.0.lock().unwrap().answers.insert(path.into(), status);
    }

    /// Messages on a path, once there are `count`.
    pub(crate) fn wait(&self, path: &str, count: usize) -> Vec<Received> {
        let (state, changed) = &*self.state;
        let on_path = |state: &State| -> Vec<Received> {
            state.received.iter().filter(|received| received.path == path).cloned().collect()
        };
        let waited =
            changed.wait_timeout_while(state.lock().unwrap(), PATIENCE, |state| on_path(state).len() < count);
        let found = on_path(&waited.unwrap().0);
        assert!(found.len() >= count, "{} of {count} on {path}", found.len());
        found
    }

    fn count(&self, path: &str) -> usize {
        self.wait(path, 0).len()
    }
}

/// A relying party with its server.
struct Party<'a> {
    http: &'a Client,
    made: CreatedRelyingParty,
    receiver: Receiver,
}

impl<'a> Party<'a> {
    fn new(app: &'a TestApp, name: &str, paths: &[&str]) -> Self {
        let party =
            Self { http: &app.http, made: app.relying_party(name, true, false), receiver: Receiver::start() };
        party.register(paths);
        party
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> crate::support::http::Answer {
        self.http.json(method, path, &self.made.token, body)
    }

    fn register(&self, paths: &[&str]) {
        let urls: Vec<_> = paths.iter().map(|path| self.receiver.url(path)).collect();
        let answer = self.call("PUT", "/v1/webhooks", Some(&json!({ "urls": urls })));
        assert_eq!((answer.status, answer.json::<Webhooks>().urls), (200, urls));
    }

    fn ask(&self, person: &str) -> RequestId {
        let body = serde_json::to_value(request(person, 1)).unwrap();
        let answer = self.call("POST", "/v1/requests", Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json::<CreatedRequest>().id
    }

    /// A request that ends at once.
    fn end_one(&self) -> RequestId {
        let id = self.ask("nobody");
        assert_eq!(self.call("DELETE", &format!("/v1/requests/{id}"), None).status, 204);
        id
    }

    fn events(&self, after: u64) -> WebhookEvents {
        let answer = self.call("GET", &format!("/v1/webhook-events?after={after}"), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn replay(&self, id: RequestId) -> crate::support::http::Answer {
        self.call("POST", &format!("/v1/webhook-events/{id}/replay"), None)
    }

    /// State and tries of the first event's first delivery, once it is as wanted.
    fn wait_for(&self, wanted: (DeliveryState, u32)) {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let delivery = &self.events(0).events[0].deliveries[0];
            if (delivery.state, delivery.attempts) == wanted {
                return;
            }
            assert!(std::time::Instant::now() < end, "{delivery:?}, not {wanted:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn spawn() -> TestApp {
    TestApp::spawn_with(|config| config.webhooks.allow_private = true)
}

fn keys(http: &Client) -> WebhookKeys {
    let answer = http.send("GET", "/v1/webhook-keys", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jwk-set+json")));
    answer.json()
}

#[test]
fn hok_020_every_end_of_a_request_is_told_and_nothing_of_the_person() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/hook"]);
    let (mut olena, taras) = (app.phone("olena"), app.phone("taras"));
    let (signed, declined) = (bank.ask("olena"), bank.ask("olena"));
    assert!(matches!(olena.approve(signed, PIN).unwrap(), Approved::Signed(_)));
    olena.phone.decline(declined).unwrap();
    let cancelled = bank.end_one();
    let key_ended = bank.ask("taras");
    let device = taras.device_key().device_id();
    assert_eq!(app.admin("POST", &format!("/devices/{device}/revoke"), None).status, 204);
    // Cancelled again, and declined when it was cancelled: nothing new.
    assert_eq!(bank.call("DELETE", &format!("/v1/requests/{cancelled}"), None).status, 204);
    let expired = bank.ask("nobody");
    app.clock.advance(86_400);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(app.service().expire()).unwrap();
    let received = bank.receiver.wait("/hook", 5);
    let keys = keys(&app.http);
    let mut told: Vec<_> = received
        .iter()
        .map(|received| {
            let now = app.clock.seconds();
            let event = received
                .verify(bank.made.id, &bank.receiver.url("/hook"), &keys, now)
                .or_else(|_| received.verify(bank.made.id, &bank.receiver.url("/hook"), &keys, now - 86_400))
                .unwrap();
            assert_eq!((event.id, event.source.as_str()), (event.request, app.url()));
            let text = String::from_utf8(received.body.clone()).unwrap();
            assert!(
                !["olena", "taras", "nobody", "Please", "signature"].iter().any(|word| text.contains(word)),
                "{text}"
            );
            (event.sequence, event.request, event.status)
        })
        .collect();
    told.sort_by_key(|(sequence, ..)| *sequence);
    let expected = [
        (1, signed, RequestStatus::Signed),
        (2, declined, RequestStatus::Declined),
        (3, cancelled, RequestStatus::Cancelled),
        (4, key_ended, RequestStatus::KeyEnded),
        (5, expired, RequestStatus::Expired),
    ];
    assert_eq!(told, expected);
    // Another URL of the same server does not believe it.
    let now = app.clock.seconds();
    let last = received.last().unwrap();
    assert_eq!(
        last.verify(bank.made.id, &bank.receiver.url("/other"), &keys, now),
        Err(WebhookError::Signature)
    );
}

#[test]
fn hok_021_what_ended_before_a_kill_is_told_after_it() {
    let folder = TempDir::new().unwrap();
    let mut server = Process::start(folder.path(), "log = \"warn\"\n[webhooks]\nallow_private = true\n");
    let http = Client::new(server.url());
    let body = json!({ "name": "Bank", "may_ask": true, "may_verify": false });
    let made = http.json("POST", "/admin/v1/relying-parties", &server.admin_token(), Some(&body)).json();
    let bank = Party { http: &http, made, receiver: Receiver::start() };
    bank.register(&["/hook"]);
    bank.receiver.answer("/hook", 0);
    let ids: Vec<_> = (0..6).map(|_| bank.end_one()).collect();
    server.kill();
    bank.receiver.answer("/hook", 204);
    let before = bank.receiver.count("/hook");
    server.restart();
    let received = bank.receiver.wait("/hook", before + ids.len());
    let keys = keys(&http);
    let now = signer_client::ports::Clock::wall(&signer_client::desk::SystemClock).0;
    for id in ids {
        let again = received[before..].iter().find(|received| received.id() == id).unwrap();
        assert_eq!(again.verify(bank.made.id, &bank.receiver.url("/hook"), &keys, now).unwrap().id, id);
    }
    assert!(bank.events(0).events.iter().all(|event| event.deliveries.len() == 1));
}

#[test]
fn hok_022_a_receiver_that_fails_is_tried_again_for_a_day() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/hook"]);
    bank.receiver.answer("/hook", 500);
    let id = bank.end_one();
    for attempt in 1..=3 {
        assert_eq!(bank.receiver.wait("/hook", attempt).len(), attempt);
        bank.wait_for((DeliveryState::Waiting, u32::try_from(attempt).unwrap()));
        app.clock.advance(60);
    }
    bank.receiver.answer("/hook", 204);
    let received = bank.receiver.wait("/hook", 4);
    bank.wait_for((DeliveryState::Delivered, 3));
    // The same event, signed anew each time.
    assert!(received.iter().all(|again| again.id() == id && again.body == received[0].body));
    let keys = keys(&app.http);
    assert!(
        received[3].verify(bank.made.id, &bank.receiver.url("/hook"), &keys, app.clock.seconds()).is_ok()
    );
    // One that never takes it.
    bank.receiver.answer("/hook", 404);
    assert_eq!(bank.replay(id).status, 202);
    bank.receiver.wait("/hook", 5);
    bank.wait_for((DeliveryState::Waiting, 1));
    app.clock.advance(86_400);
    bank.wait_for((DeliveryState::Failed, 2));
}

#[test]
fn hok_023_a_slow_receiver_holds_up_nobody_else() {
    let app = spawn();
    let (slow, bank) = (Party::new(&app, "Slow", &["/hook"]), Party::new(&app, "Bank", &["/hook", "/slow"]));
    slow.receiver.answer("/hook", 0);
    bank.receiver.answer("/slow", 0);
    for _ in 0..6 {
        slow.end_one();
        bank.end_one();
    }
    assert_eq!(slow.receiver.wait("/hook", 4).len(), 4);
    bank.receiver.wait("/hook", 6);
    // Four at a time are sent to one address.
    assert!(slow.receiver.count("/hook") <= 4 && bank.receiver.count("/slow") <= 4);
}

#[test]
fn hok_024_events_are_listed_and_sent_again_to_their_relying_party_only() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/a"]);
    let other = Party::new(&app, "Other", &["/b"]);
    let ids: Vec<_> = (0..3).map(|_| bank.end_one()).collect();
    bank.receiver.wait("/a", 3);
    let all = bank.events(0);
    assert_eq!(all.events.iter().map(|event| event.event.id).collect::<Vec<_>>(), ids);
    assert_eq!((all.after, bank.events(2).events.len(), bank.events(3).events.len()), (3, 1, 0));
    assert_eq!(bank.events(u64::MAX).events, []);
    assert_eq!(other.events(0).events, []);
    assert_eq!(other.replay(ids[0]).code(), ProblemCode::NotFound);
    // A place of the other's own: it learns nothing of how many others have.
    other.end_one();
    assert_eq!(other.events(0).events[0].event.sequence, "00000000000000000001");
    // To where it is now.
    bank.register(&["/c"]);
    assert_eq!(bank.replay(ids[1]).status, 202);
    assert_eq!(bank.receiver.wait("/c", 1)[0].id(), ids[1]);
    assert_eq!(bank.receiver.count("/a"), 3);
    assert_eq!(bank.call("DELETE", "/v1/webhooks", None).status, 204);
    assert_eq!(bank.call("GET", "/v1/webhooks", None).json::<Webhooks>().urls, Vec::<String>::new());
    assert_eq!(bank.replay(ids[1]).code(), ProblemCode::InvalidValue);
    // Without an address nothing is noted.
    bank.end_one();
    assert_eq!(bank.events(0).events.len(), 3);
    app.clock.advance(7 * 86_400 + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(app.service().expire()).unwrap();
    assert_eq!(bank.events(0).events, []);
    assert_eq!(bank.replay(ids[1]).code(), ProblemCode::NotFound);
}

#[test]
fn hok_025_only_public_addresses_are_called() {
    let mut app = spawn();
    let receiver = Receiver::start();
    let made = app.relying_party("Bank", true, false);
    let token = made.token.clone();
    let put = |app: &TestApp, url: &str| {
        app.http.json("PUT", "/v1/webhooks", &token, Some(&json!({ "urls": [url] })))
    };
    assert_eq!(put(&app, &receiver.url("/hook")).status, 200);
    // The operator takes it back: what was registered before is not called either.
    app.stop();
    app.config.webhooks.allow_private = false;
    app.start().unwrap();
    for private in [
        receiver.url("/hook"),
        receiver.url("/hook").replace("http:", "https:"),
        "https://localhost/".into(),
        "https://169.254.169.254/latest/meta-data".into(),
        "https://10.1.2.3/".into(),
        "https://[::1]/".into(),
        "https://[::ffff:127.0.0.1]/".into(),
        "https://[fd00::1]/".into(),
        "http://bank.example/".into(),
        "https://user@bank.example/".into(),
    ] {
        assert_eq!(put(&app, &private).code(), ProblemCode::InvalidValue, "{private}");
    }
    let bank = Party { http: &app.http, made, receiver };
    bank.end_one();
    bank.wait_for((DeliveryState::Waiting, 1));
    assert_eq!(bank.receiver.count("/hook"), 0);
}

#[test]
fn hok_026_redirects_are_not_followed() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/hook"]);
    bank.receiver.answer("/hook", 302);
    bank.end_one();
    bank.wait_for((DeliveryState::Waiting, 1));
    assert_eq!((bank.receiver.count("/hook"), bank.receiver.count("/elsewhere")), (1, 0));
}

#[test]
fn hok_027_the_key_changes_after_receivers_could_learn_the_next() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/hook"]);
    let first = keys(&app.http).keys;
    assert_eq!(first.len(), 1);
    let act = |act: &str| app.admin("POST", &format!("/keys/webhook/{act}"), None);
    assert_eq!(act("activate").code(), ProblemCode::InvalidValue);
    assert_eq!(act("next").status, 204);
    let both = keys(&app.http);
    assert_eq!((both.keys.len(), &both.keys[..1]), (2, &first[..]));
    app.clock.advance(86_399);
    assert_eq!(act("activate").code(), ProblemCode::InvalidValue);
    app.clock.advance(1);
    assert_eq!(act("activate").status, 204);
    bank.end_one();
    let received = bank.receiver.wait("/hook", 1).remove(0);
    let (url, now) = (bank.receiver.url("/hook"), app.clock.seconds());
    assert!(received.verify(bank.made.id, &url, &both, now).is_ok());
    assert_eq!(
        received.verify(bank.made.id, &url, &WebhookKeys { keys: first }, now),
        Err(WebhookError::UnknownKey)
    );
    // The first is given out for an hour or two still.
    assert_eq!(keys(&app.http).keys.len(), 2);
    app.clock.advance(7_200);
    assert_eq!(keys(&app.http).keys, both.keys[1..]);
    // The trust list knows nothing of it.
    let list: Value = app.admin("GET", "/keys", None).json();
    assert!(!list.to_string().contains("webhook"));
}

#[test]
fn hok_028_the_operator_sees_and_sets_addresses_and_a_revoked_party_is_told_nothing() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/a", "/b"]);
    let path = format!("/relying-parties/{}/webhooks", bank.made.id);
    assert_eq!(app.admin("GET", &path, None).json::<Webhooks>().urls.len(), 2);
    let urls = json!({ "urls": [bank.receiver.url("/c")] });
    assert_eq!(app.admin("PUT", &path, Some(&urls)).status, 200);
    assert_eq!(bank.call("GET", "/v1/webhooks", None).json::<Value>(), urls);
    let open = bank.ask("nobody");
    assert_eq!(app.admin("DELETE", &format!("/relying-parties/{}", bank.made.id), None).status, 204);
    assert_eq!(app.admin("GET", &path, None).json::<Webhooks>().urls, Vec::<String>::new());
    assert_eq!(app.admin("PUT", &path, Some(&urls)).code(), ProblemCode::NotFound);
    let count = |sql: &str| app.read_only().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM request WHERE state = 3"), 1, "{open} is cancelled");
    assert_eq!(count("SELECT count(*) FROM webhook_event"), 0);
}

#[test]
fn hok_029_true_events_of_others_that_are_sent_to_an_address_name_whose_they_are() {
    let app = spawn();
    let bank = Party::new(&app, "Bank", &["/hook"]);
    let other = Party::new(&app, "Other", &[]);
    let url = bank.receiver.url("/hook");
    assert_eq!(other.call("PUT", "/v1/webhooks", Some(&json!({ "urls": [url] }))).status, 200);
    let (others, own) = (other.end_one(), bank.end_one());
    let (keys, now) = (keys(&app.http), app.clock.seconds());
    for received in bank.receiver.wait("/hook", 2) {
        let (believed, refused) = match received.id() {
            id if id == own => (bank.made.id, other.made.id),
            id => {
                assert_eq!(id, others);
                (other.made.id, bank.made.id)
            }
        };
        assert!(received.verify(believed, &url, &keys, now).is_ok());
        assert_eq!(received.verify(refused, &url, &keys, now), Err(WebhookError::OtherRelyingParty));
    }
    assert_eq!(bank.events(0).events[0].event.relyingparty, bank.made.id);
}
