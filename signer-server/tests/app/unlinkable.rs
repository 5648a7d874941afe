//! Shops that put together everything they ever saw.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Value, json};
use signer_client::{
    Phone, PhoneOptions, Ports, RelyingParty, Showing,
    desk::{SoftwareKey, system_rng},
};
use signer_core::{credential::DocumentType, pin::Pin, suite::SuiteId, wire::Profile};

use crate::{
    colluding::{Join, Seen, joins},
    harness::{PIN, TestApp, patient},
    support::phone::{MemoryStorage, network},
};

const HOLDERS: usize = 60;
const DAYS: u64 = 3;
const CARD: DocumentType = DocumentType::IdentityCard;
/// The order in which a holder shows things on a day: the whole stock.
const ROUNDS: [Profile; 16] = {
    use Profile::{Age as A, Full as F, Minimal as M};
    [A, M, A, F, A, M, A, F, A, M, A, F, A, M, A, F]
};
/// So many holders are checked online in each round, at two shops.
const ONLINE: usize = 8;
/// Places with so few values that two can be equal by chance.
const SIZES: [(&str, usize); 2] = [("device.payload.2", 100_000_000), ("digits", 100_000_000)];

/// Adults of a town: same ages, names of their own.
fn register(folder: &std::path::Path) -> std::path::PathBuf {
    let person = |n: usize| {
        let card = json!({
            "document_type": "identity_card", "family": format!("Бондаренко-{n}"), "given": "Олена Іванівна",
            "birth": format!("19{:02}-03-{:02}", 60 + n % 40, 1 + n % 28), "number": format!("009{n:06}"),
            "expires": "2036-05-20", "rights": "",
        });
        (format!("person-{n}"), json!([card]))
    };
    let people: serde_json::Map<String, Value> = (0..HOLDERS).map(person).collect();
    let path = folder.join("register.json");
    std::fs::write(&path, Value::Object(people).to_string()).unwrap();
    path
}

fn phone(app: &TestApp, n: usize) -> Phone {
    let ports = Ports {
        http: network(app.url()),
        key: Box::new(SoftwareKey::in_memory(system_rng())),
        storage: Box::new(MemoryStorage::default()),
        clock: Box::new(app.clock.clone()),
        rng: system_rng(),
    };
    let mut phone = Phone::open(ports, PhoneOptions::default()).unwrap();
    let code = app.enrolment_code(&format!("person-{n}"));
    phone.enrol(app.suite, &code, &Pin::new(PIN).unwrap()).unwrap();
    phone
}

struct Town {
    app: TestApp,
    phones: Vec<Phone>,
    shops: Vec<RelyingParty>,
    sessions: usize,
    table: Vec<Seen>,
}

impl Town {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut app = TestApp::spawn_with(|config| {
            config.register_file = Some(register(folder.path()));
            (config.lock_policy, config.insecure) = (patient(), true);
        });
        app.suite = SuiteId::FrostSecp256k1Sha256;
        let phones = (0..HOLDERS).map(|n| phone(&app, n)).collect();
        let shops = (0..2)
            .map(|n| app.relying_party(&format!("Shop {n}"), false, true).token)
            .map(|token| RelyingParty::new(network(app.url()), token))
            .collect();
        Self { app, phones, shops, sessions: 0, table: Vec::new() }
    }

    /// One holder shows something once, to a shop that may ask the server.
    fn show(&mut self, holder: usize, profile: Profile, online: bool) -> bool {
        let phone = &mut self.phones[holder];
        let mut session = phone.start_show(CARD, Showing::to_whoever_scans(profile)).unwrap();
        let screen = if online { Some(phone.display(&mut session).unwrap()) } else { None };
        let code = phone.code(&mut session).unwrap();
        let mut seen = Seen::of_code(holder, self.sessions, profile, code.presentation.as_str());
        seen.add_digits("digits", code.digits.to_string().as_bytes());
        if let Some(screen) = screen {
            seen.add_digits("bar", screen.short.unwrap().bar.to_string().as_bytes());
            let request = format!("scan-{:06}", self.sessions);
            let shop = &self.shops[self.sessions % self.shops.len()];
            let answer = shop.verify_code(code.presentation.as_str(), &request).unwrap();
            assert_eq!(answer.result, signer_core::credential::Colour::Green);
            seen.add_answer("answer", &serde_json::to_value(&answer).unwrap());
        }
        self.sessions += 1;
        self.table.push(seen);
        session.is_linkable()
    }

    fn day(&mut self) {
        for phone in &mut self.phones {
            assert_eq!(phone.top_up(CARD).unwrap(), 16);
        }
        for (round, profile) in ROUNDS.into_iter().enumerate() {
            for holder in 0..HOLDERS {
                let online = (holder + round) % HOLDERS < ONLINE;
                assert!(!self.show(holder, profile, online), "an unused credential is left");
            }
            self.app.clock.advance(1800);
        }
        self.app.clock.advance(24 * 3600 - 16 * 1800);
    }
}

fn report(found: &std::collections::BTreeMap<String, Vec<Join>>) -> String {
    found.iter().fold(String::new(), |mut text, (place, joins)| {
        writeln!(text, "{place}: {} values, as {:?}", joins.len(), joins[0]).unwrap();
        text
    })
}

/// A field that everybody sees and that follows from the holder.
fn linked(table: &[Seen], place: &str, value: impl Fn(&Seen) -> Vec<u8>) -> Vec<Seen> {
    let mut table = table.to_vec();
    for seen in &mut table {
        let value = value(seen);
        seen.add(place, &value);
    }
    table
}

#[test]
fn cli_113_shops_that_collude_join_no_two_shows_of_a_holder() {
    let mut town = Town::new();
    for _ in 0..DAYS {
        town.day();
    }
    assert_eq!(town.table.len(), HOLDERS * ROUNDS.len() * usize::try_from(DAYS).unwrap());
    let found = joins(&town.table, &SIZES);
    assert!(found.is_empty(), "{}", report(&found));

    // The same table with one thing more in it: each is found.
    let table = Arc::new(town.table.clone());
    let key_of_the_phone = linked(&table, "day key", |seen| vec![u8::try_from(seen.holder).unwrap(); 33]);
    assert!(joins(&key_of_the_phone, &SIZES).contains_key("day key"));
    let number = linked(&table, "installation", |seen| seen.holder.to_be_bytes()[6..].to_vec());
    assert!(joins(&number, &SIZES).contains_key("installation"));
    // In the times of issue the second of a top-up would do.
    let seconds = linked(&table, "issued", |seen| {
        let day = seen.session / (HOLDERS * ROUNDS.len());
        (86_400 * day + seen.holder).to_be_bytes().to_vec()
    });
    assert!(joins(&seconds, &SIZES).contains_key("issued"));
    // Digits of one key for a phone would repeat more often than chance has it.
    let digits = linked(&table, "device.payload.2", |seen| vec![u8::try_from(seen.holder).unwrap(), 0]);
    assert!(joins(&digits, &SIZES).contains_key("device.payload.2"));

    // And a phone that has to take a credential again says so, and is found.
    assert_eq!(town.phones[7].top_up(CARD).unwrap(), 16);
    for _ in 0..8 {
        assert!(!town.show(7, Profile::Age, false));
    }
    assert!(town.show(7, Profile::Age, false), "the holder is told");
    let found = joins(&town.table, &SIZES);
    for place in ["status place", "issuer.payload.-1", "issuer.signature", "bytes"] {
        assert!(found.get(place).is_some_and(|joins| joins.iter().all(|join| join.holder == 7)), "{place}");
    }
}
