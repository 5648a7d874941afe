//! What the server gives out for verifiers: status lists, the trust list, keys that follow one another, credentials of businesses.
//! Requirements: `spec/registers.md`.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{SigningKey, VerifyingKey};
use signer_client::{Code, RelyingParty, Showing};
use signer_core::{
    codec,
    credential::{
        Ask, BusinessCredential, Colour, DayCredential, DocumentType, Kid, Reason, StatusIndex, StepRule,
        verify_request,
    },
    status::{STATUS_LIST_MEDIA_TYPE, Status, StatusList},
    time::UnixSeconds,
    trust::{KeyUse, Life, SignedTrustList, TrustList, TrustedKey},
    wire::{CreatedBusinessCredential, IssuedCredentials, ProblemCode, Profile, PutTrustList},
};

use crate::{
    events,
    harness::TestApp,
    support::{http::Answer, phone::TestPhone},
};

const DAY: u64 = 86_400;

/// The root in the data folder.
pub(crate) fn own_root(app: &TestApp) -> SigningKey {
    SigningKey::from_slice(&std::fs::read(app.config.data_dir.join("trust-root")).unwrap()).unwrap()
}

fn served(app: &TestApp) -> Vec<u8> {
    let answer = app.http.send("GET", "/v1/trust-list", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/cose")), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    answer.body
}

pub(crate) fn trust(app: &TestApp) -> TrustList {
    let root = *own_root(app).verifying_key();
    SignedTrustList::verify(&served(app), &[root]).unwrap().list().clone()
}

fn stocked(app: &TestApp) -> TestPhone {
    let mut phone = app.phone("olena");
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
    phone
}

/// The newest credentials a phone got.
fn issued(phone: &TestPhone) -> Vec<DayCredential> {
    let reply = phone.wire.last("credentials").reply.unwrap();
    let issued: IssuedCredentials = codec::decode(&reply, 1 << 20).unwrap();
    issued
        .credentials
        .as_slice()
        .iter()
        .map(|bytes| DayCredential::from_bytes(bytes.as_slice()).unwrap())
        .collect()
}

fn get_list(app: &TestApp, number: u32) -> Answer {
    app.http.send("GET", &format!("/status/v1/lists/{number}"), &[], b"")
}

/// What the lists given out say of these places.
fn statuses(app: &TestApp, trust: &TrustList, places: &[StatusIndex]) -> Vec<Status> {
    let mut lists = BTreeMap::new();
    places
        .iter()
        .map(|place| {
            let list = lists.entry(place.list).or_insert_with(|| {
                let answer = get_list(app, place.list);
                assert_eq!(
                    (answer.status, answer.header("content-type")),
                    (200, Some(STATUS_LIST_MEDIA_TYPE))
                );
                StatusList::verify(&answer.body, trust).unwrap()
            });
            assert_eq!(list.number(), place.list);
            list.status(place.index).unwrap()
        })
        .collect()
}

fn code(phone: &mut TestPhone) -> Code {
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    phone.phone.code(&mut session).unwrap()
}

fn verify(app: &TestApp, shop: &RelyingParty, code: &Code) -> (Colour, Reason) {
    let result = shop.verify_code(code.presentation.as_str(), &app.unique("scan-id")).unwrap();
    (result.result, result.reason)
}

#[test]
fn reg_020_lists_say_what_was_withdrawn_and_follow_the_standing_of_the_phone() {
    let app = TestApp::spawn();
    let (trust, token) = (trust(&app), events::reporter(&app));
    let phone = stocked(&app);
    let others = app.phone("taras");
    let places: Vec<_> = issued(&phone).iter().map(|credential| credential.claims().status()).collect();
    assert_eq!(places.len(), 4, "the batch of the full profile");
    let all = |status| vec![status; places.len()];
    let device = phone.device_key().device_id();
    let operator = |act: &str| {
        assert_eq!(app.admin("POST", &format!("/devices/{device}/{act}"), None).status, 204);
        app.clock.advance(900);
    };
    assert_eq!(statuses(&app, &trust, &places), all(Status::Valid));
    operator("suspend");
    assert_eq!(statuses(&app, &trust, &places), all(Status::Suspended));
    operator("resume");
    assert_eq!(statuses(&app, &trust, &places), all(Status::Valid));
    let changed = events::event("1", "document.changed", "olena", 1, Some("identity_card"));
    assert_eq!(events::send(&app, &token, &changed).status, 200);
    app.clock.advance(900);
    assert_eq!(statuses(&app, &trust, &places), all(Status::Revoked));
    operator("suspend");
    assert_eq!(
        statuses(&app, &trust, &places),
        all(Status::Revoked),
        "what was withdrawn is not only suspended"
    );
    // A lost phone takes everything with it; nobody else's.
    let mut phone = others;
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let places: Vec<_> = issued(&phone).iter().map(|credential| credential.claims().status()).collect();
    assert_eq!(statuses(&app, &trust, &places), all(Status::Valid));
    let device = phone.device_key().device_id();
    assert_eq!(app.admin("POST", &format!("/devices/{device}/revoke"), None).status, 204);
    app.clock.advance(900);
    assert_eq!(statuses(&app, &trust, &places), all(Status::Revoked));
}

#[test]
fn reg_021_a_list_is_made_every_quarter_of_an_hour_and_cached_until_the_next() {
    let app = TestApp::spawn();
    let trust = trust(&app);
    let phone = stocked(&app);
    let number = issued(&phone)[0].claims().status().list;
    let start = app.clock.seconds() / 900 * 900;
    let mut before = Vec::new();
    for (at, seconds_left) in [(start + 180, 720), (start + 899, 1), (start + 900, 900), (start + 1_000, 800)]
    {
        app.clock.set(at);
        let answer = get_list(&app, number);
        assert_eq!(answer.header("cache-control"), Some(format!("public, max-age={seconds_left}").as_str()));
        let list = StatusList::verify(&answer.body, &trust).unwrap();
        assert_eq!(list.issued(), UnixSeconds(at / 900 * 900));
        assert!(issued(&phone).iter().all(|credential| credential.claims().issued() <= list.issued()));
        assert_eq!(before == answer.body, at % 900 != 0 && !before.is_empty(), "{at}");
        before = answer.body;
    }
}

#[test]
fn reg_022_every_list_that_may_matter_has_an_address_and_no_other_is_made() {
    let app = TestApp::spawn();
    let today = u32::try_from(app.clock.seconds() / DAY).unwrap();
    let answer = app.http.send("GET", "/status/v1/lists", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let addresses = answer.json::<serde_json::Value>()["status_lists"].as_array().unwrap().clone();
    // 26 hours before this morning began the day before yesterday.
    let first = u32::try_from((app.clock.seconds() - 93_600) / DAY).unwrap();
    let wanted: Vec<_> = (first * 64..(today + 1) * 64)
        .map(|number| format!("{}/status/v1/lists/{number}", app.url()))
        .collect();
    assert_eq!(addresses, wanted);
    for number in [first * 64, today * 64 + 63] {
        assert_eq!(get_list(&app, number).status, 200);
    }
    for number in [first * 64 - 1, (today + 1) * 64, 0, u32::MAX] {
        assert_eq!(get_list(&app, number).code(), ProblemCode::NotFound, "{number}");
    }
    assert_eq!(trust(&app).issuers()[0].status_uri.as_str(), format!("{}/status/v1/lists", app.url()));
}

#[test]
fn reg_023_after_a_restore_what_was_given_out_before_is_suspended() {
    let mut app = TestApp::spawn();
    let trust = trust(&app);
    let mut phone = stocked(&app);
    let before: Vec<_> = issued(&phone).iter().map(|credential| credential.claims().status()).collect();
    app.clock.advance(900);
    assert_eq!(statuses(&app, &trust, &before), vec![Status::Valid; 4]);
    // As a restore leaves it: what was withdrawn since the backup is forgotten.
    let restored = app.clock.seconds();
    app.stop();
    let db = rusqlite::Connection::open(app.database()).unwrap();
    let set = "UPDATE meta SET restored = ?1";
    assert_eq!(db.execute(set, [i64::try_from(restored).unwrap()]).unwrap(), 1);
    drop(db);
    app.start().unwrap();
    app.clock.advance(900);
    assert_eq!(statuses(&app, &trust, &before), vec![Status::Suspended; 4]);
    // The phone gets new credentials, in lists of the same day: these are valid.
    let _shown = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 1);
    let since = issued(&phone)[0].claims().status();
    // Its list may have been made before it, in this quarter of an hour.
    app.clock.advance(900);
    assert_eq!(statuses(&app, &trust, &[since]), [Status::Valid]);
    assert_eq!(statuses(&app, &trust, &before), vec![Status::Suspended; 4]);
}

#[test]
fn reg_030_without_a_root_the_server_signs_its_own_list_and_renews_it_daily() {
    let mut app = TestApp::spawn();
    let first = trust(&app);
    assert_eq!((first.issued(), first.life()), (UnixSeconds(app.clock.seconds()), Life::Standard));
    let uses: Vec<_> = first.keys().iter().map(|key| key.key_use).collect();
    for key_use in [KeyUse::Credentials, KeyUse::StatusLists, KeyUse::Answers, KeyUse::Businesses] {
        assert_eq!(uses.iter().filter(|found| **found == key_use).count(), 1);
    }
    let bytes = served(&app);
    app.restart();
    assert_eq!(served(&app), bytes, "a restart makes no new list");
    app.clock.advance(DAY - 1);
    app.restart();
    assert_eq!(served(&app), bytes);
    app.clock.advance(1);
    app.restart();
    let second = trust(&app);
    assert!(second.number() > first.number() && second.issued() > first.issued());
    let mut kept = SignedTrustList::verify(&bytes, &[*own_root(&app).verifying_key()]).unwrap();
    assert!(kept.update(&served(&app), &[]).unwrap());
    // Nobody puts another list beside it.
    assert_eq!(put(&app, &bytes).code(), ProblemCode::InvalidValue);
}

fn put(app: &TestApp, list: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", app.admin_token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/cose")];
    app.http.send("PUT", "/admin/v1/trust-list", &headers, list)
}

fn root(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

/// A server under the root number 5, which is kept elsewhere.
pub(crate) fn pinned() -> TestApp {
    TestApp::spawn_with(|config| {
        let point = root(5).verifying_key().to_sec1_point(true);
        config.trust_root = Some(BASE64_URL_SAFE_NO_PAD.encode(point.as_bytes()));
    })
}

/// The server's own part of the next list.
fn draft(app: &TestApp) -> TrustList {
    let answer = app.admin("GET", "/keys", None);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn remake(
    list: &TrustList,
    number: u64,
    issued: u64,
    keys: Vec<TrustedKey>,
    roots: &[&SigningKey],
) -> TrustList {
    let roots = roots.iter().map(|root| *root.verifying_key()).collect();
    TrustList::new(number, UnixSeconds(issued), list.life(), list.issuers().to_vec(), keys, roots).unwrap()
}

fn sign(list: &TrustList, root: &SigningKey) -> Vec<u8> {
    list.prepare(root.verifying_key()).unwrap().sign(root).unwrap()
}

/// Puts the server's own part as list `number`, with this life.
pub(crate) fn put_life(app: &TestApp, number: u64, life: Life) {
    let (draft, now) = (draft(app), UnixSeconds(app.clock.seconds()));
    let (keys, roots) = (draft.keys().to_vec(), vec![*root(5).verifying_key()]);
    let list = TrustList::new(number, now, life, draft.issuers().to_vec(), keys, roots).unwrap();
    assert_eq!(put(app, &sign(&list, &root(5))).status, 200);
}

#[test]
fn reg_031_a_list_is_taken_only_under_the_root_and_never_an_older_one() {
    let mut app = pinned();
    assert_eq!(app.http.send("GET", "/v1/trust-list", &[], b"").code(), ProblemCode::NotFound);
    let now = app.clock.seconds();
    let draft = draft(&app);
    let with = |number, issued, root_: &SigningKey| {
        sign(&remake(&draft, number, issued, draft.keys().to_vec(), &[&root(5), &root(6)]), root_)
    };
    let first = with(7, now, &root(5));
    let mut flipped = first.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bad, why) in [
        (with(7, now, &root(6)), "another root"),
        (flipped, "a changed byte"),
        (with(7, now + 301, &root(5)), "the future"),
        (first[..first.len() - 1].to_vec(), "cut"),
        (Vec::new(), "nothing"),
    ] {
        let answer = put(&app, &bad);
        assert_eq!(answer.code(), ProblemCode::InvalidValue, "{why}");
        assert!(answer.problem().detail.is_some_and(|detail| detail.len() > 10), "{why}");
    }
    assert_eq!(app.http.send("GET", "/v1/trust-list", &[], b"").code(), ProblemCode::NotFound);
    assert_eq!(put(&app, &first).json::<PutTrustList>(), PutTrustList { number: 7, notes: vec![] });
    assert_eq!(served(&app), first);
    for restarted in [false, true] {
        if restarted {
            app.restart();
        }
        assert_eq!(put(&app, &first).status, 200, "the same again");
        for bad in [with(6, now, &root(5)), with(7, now - 1, &root(5))] {
            assert_eq!(put(&app, &bad).code(), ProblemCode::InvalidValue);
        }
        assert_eq!(served(&app), first);
    }
    // The list names root 6, which may sign the next one.
    let second = with(8, now, &root(6));
    assert_eq!(put(&app, &second).status, 200);
    app.restart();
    assert_eq!(served(&app), second);
    // Under another pinned root nothing of it is given out.
    app.stop();
    let point = root(9).verifying_key().to_sec1_point(true);
    app.config.trust_root = Some(BASE64_URL_SAFE_NO_PAD.encode(point.as_bytes()));
    app.start().unwrap();
    assert_eq!(app.http.send("GET", "/v1/trust-list", &[], b"").code(), ProblemCode::NotFound);
}

#[test]
fn reg_032_an_operator_is_told_what_a_list_leaves_out() {
    let app = pinned();
    let now = app.clock.seconds();
    let draft = draft(&app);
    let keys: Vec<_> =
        draft.keys().iter().filter(|key| key.key_use != KeyUse::StatusLists).cloned().collect();
    let list = remake(&draft, 1, now, keys, &[&root(5)]);
    let notes = put(&app, &sign(&list, &root(5))).json::<PutTrustList>().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("list key"), "{notes:?}");
    let empty =
        TrustList::new(2, UnixSeconds(now), Life::Standard, vec![], vec![], vec![*root(5).verifying_key()]);
    let notes = put(&app, &sign(&empty.unwrap(), &root(5))).json::<PutTrustList>().notes;
    assert_eq!(notes.len(), 5, "{notes:?}");
}

#[test]
fn reg_033_the_next_key_signs_only_when_the_list_names_it() {
    let mut app = pinned();
    let shop = app.shop();
    let act = |app: &TestApp, purpose: &str, act: &str| {
        app.admin("POST", &format!("/keys/{purpose}/{act}"), None).status
    };
    let list_of = |app: &TestApp, number: u64| {
        let draft = draft(app);
        sign(&remake(&draft, number, app.clock.seconds(), draft.keys().to_vec(), &[&root(5)]), &root(5))
    };
    let issuers = |app: &TestApp| draft(app).keys_for(KeyUse::Credentials).cloned().collect::<Vec<_>>();
    assert_eq!(put(&app, &list_of(&app, 1)).status, 200);
    let mut phone = stocked(&app);
    let old = issuers(&app)[0].key;
    let old_code = code(&mut phone);
    assert_eq!(act(&app, "issuer", "activate"), 422, "no key waits");
    for _ in 0..2 {
        assert_eq!(act(&app, "issuer", "next"), 204);
        assert_eq!(issuers(&app).len(), 2, "one key waits");
    }
    assert_eq!(act(&app, "issuer", "activate"), 422, "nobody knows the key yet");
    assert_eq!(put(&app, &list_of(&app, 2)).json::<PutTrustList>().notes, Vec::<String>::new());
    app.restart();
    assert_eq!(act(&app, "issuer", "activate?force=true"), 204);
    assert_eq!(act(&app, "issuer", "activate?force=true"), 422, "it is in use");
    // What the old key signed is good; what is issued now is the new key's.
    assert_eq!(verify(&app, &shop, &old_code), (Colour::Green, Reason::Valid));
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let new = issuers(&app).into_iter().find(|key| key.key != old).unwrap();
    let kid_of =
        |bytes: &[u8], key: &VerifyingKey| bytes.windows(4).take(12).any(|window| window == Kid::of(key).0);
    let fresh = issued(&phone);
    assert!(kid_of(fresh[0].as_bytes(), &new.key) && !kid_of(fresh[0].as_bytes(), &old));
    app.restart();
    for _ in 0..8 {
        assert_eq!(verify(&app, &shop, &code(&mut phone)), (Colour::Green, Reason::Valid));
    }
    // The old key's time ends with the hour, and it leaves the list when nothing it signed can be shown any more.
    let retired = issuers(&app).into_iter().find(|key| key.key == old).unwrap();
    assert_eq!(retired.not_after, UnixSeconds(app.clock.seconds()).hour().plus(3_600));
    app.clock.advance(3_600 + 72 * 3_600 + 1);
    assert_eq!(issuers(&app).iter().map(|key| key.key).collect::<Vec<_>>(), [new.key]);
}

#[test]
fn reg_033_a_server_under_its_own_root_lists_the_next_key_by_itself() {
    let app = TestApp::spawn();
    let phone = stocked(&app);
    let number = issued(&phone)[0].claims().status().list;
    let before = trust(&app);
    let old = StatusList::verify(&get_list(&app, number).body, &before).unwrap();
    assert_eq!(app.admin("POST", "/keys/list/next", None).status, 204);
    assert_eq!(app.admin("POST", "/keys/list/activate?force=true", None).status, 204);
    let after = trust(&app);
    assert!(after.number() > before.number());
    assert_eq!(after.keys_for(KeyUse::StatusLists).count(), 2);
    let answer = get_list(&app, number);
    assert!(
        StatusList::verify(&answer.body, &before).is_err(),
        "signed by a key that the list before does not name"
    );
    assert_eq!(StatusList::verify(&answer.body, &after).unwrap().issued(), old.issued());
    for (path, code) in
        [("/keys/answer/next", 404), ("/keys/nothing/activate", 404), ("/keys/business/activate", 422)]
    {
        assert_eq!(app.admin("POST", path, None).status, code, "{path}");
    }
}

#[test]
fn reg_052_a_key_is_listed_for_thirty_days_before_it_signs() {
    let mut app = pinned();
    let list_of = |app: &TestApp, number: u64, keys: Vec<TrustedKey>| {
        sign(&remake(&draft(app), number, app.clock.seconds(), keys, &[&root(5)]), &root(5))
    };
    let activate = |app: &TestApp| app.admin("POST", "/keys/issuer/activate", None);
    let all = |app: &TestApp| draft(app).keys().to_vec();
    let without: Vec<_> = all(&app);
    assert_eq!(put(&app, &list_of(&app, 1, without.clone())).status, 200);
    assert_eq!(app.admin("POST", "/keys/issuer/next", None).status, 204);
    let listed = app.clock.seconds();
    assert_eq!(put(&app, &list_of(&app, 2, all(&app))).status, 200);
    let refused = activate(&app);
    assert_eq!(
        (refused.code(), refused.problem().time),
        (ProblemCode::InvalidValue, Some(listed + 30 * DAY))
    );
    // A later list that still names it changes nothing; one that does not begins the time anew.
    app.clock.advance(20 * DAY);
    assert_eq!(put(&app, &list_of(&app, 3, all(&app))).status, 200);
    app.restart();
    assert_eq!(activate(&app).problem().time, Some(listed + 30 * DAY));
    assert_eq!(put(&app, &list_of(&app, 4, without)).status, 200);
    assert_eq!(activate(&app).problem().time, None, "not named at all");
    assert_eq!(app.admin("POST", "/keys/issuer/activate?force=true", None).status, 422, "not even by force");
    let listed = app.clock.seconds();
    assert_eq!(put(&app, &list_of(&app, 5, all(&app))).status, 200);
    app.clock.advance(30 * DAY - 1);
    assert_eq!(activate(&app).code(), ProblemCode::InvalidValue);
    app.clock.advance(1);
    assert_eq!(app.clock.seconds(), listed + 30 * DAY);
    assert_eq!(activate(&app).status, 204);
}

#[test]
fn reg_035_a_business_gets_a_credential_that_phones_believe() {
    let app = TestApp::spawn();
    let key = root(11);
    let point = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().to_sec1_point(true).as_bytes());
    let shop = app.relying_party("Аптека", false, true);
    let body = serde_json::json!({
        "name": "Аптека «Подорожник»", "key": point, "profiles": ["full", "age"], "days": 30,
        "relying_party": shop.id.to_string(),
    });
    let answer = app.admin("POST", "/business-credentials", Some(&body));
    assert_eq!(answer.status, 201, "{answer:?}");
    let made: CreatedBusinessCredential = answer.json();
    let now = app.clock.seconds();
    assert_eq!(made.expires, now + 30 * DAY);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&made.credential).unwrap();
    let credential = BusinessCredential::from_bytes(&bytes).unwrap();
    let step = StepRule::STANDARD.step_at(UnixSeconds(now));
    let ask = Ask { step, nonce: [1; 16], profile: Profile::Full, document_type: None };
    let request = credential.request(&ask, &key).unwrap();
    let believed =
        verify_request(request.as_str(), &trust(&app), UnixSeconds(now), StepRule::STANDARD).unwrap();
    assert_eq!(believed.business().name(), "Аптека «Подорожник»");
    assert_eq!(believed.business().profiles(), [Profile::Age, Profile::Full]);
    // Its id is that of the relying party, also when it is renewed.
    let renewed: CreatedBusinessCredential = app.admin("POST", "/business-credentials", Some(&body)).json();
    assert_eq!((renewed.id, made.id.0), (made.id, *shop.id.as_bytes()));
}
