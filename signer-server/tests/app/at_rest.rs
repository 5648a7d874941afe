//! Nothing of a document is at rest on the server: every file of its folder is searched for every claim.

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_client::{RelyingParty, Showing};
use signer_core::{
    credential::{Colour, DocumentRecord, DocumentType},
    pin::Pin,
    wire::{CreatedEnrolmentCode, CreatedRelyingParty, Made, MadeCodes, Profile},
};
use signer_server::registers::VehicleRecord;

use crate::{
    events, fleets,
    register::{TestRegister, records::Change},
    secrets::Secrets,
    support::{
        http::Client,
        phone::{MemoryStorage, SUITE, TestPhone, network},
        process::Process,
    },
};

/// Everything a document says, in every encoding somebody might keep it in. Dates as days are too short to look for.
fn claims(record: &DocumentRecord) -> Secrets {
    let mut texts = vec![
        ("family name", record.family.as_str().to_owned()),
        ("given names", record.given.as_str().to_owned()),
        ("date of birth", record.birth.to_string()),
        ("number", record.number.as_str().to_owned()),
        ("last day", record.expires.to_string()),
    ];
    texts.push(("family name in capitals", record.family.as_str().to_uppercase()));
    for word in record.given.as_str().split(' ').filter(|word| word.len() >= 8) {
        texts.push(("given name", word.to_owned()));
    }
    let mut claims = in_every_encoding(texts);
    if let Some(portrait) = &record.portrait {
        // Behind the head that every such picture has.
        claims.add("portrait", &portrait.as_bytes()[60..]);
        claims.add("portrait in base64", &BASE64_STANDARD.encode(portrait.as_bytes())[84..]);
    }
    claims
}

/// The same of a vehicle, with the organisation's reference for it.
fn vehicle_claims(record: &VehicleRecord, reference: &str) -> Secrets {
    in_every_encoding(vec![
        ("plate", record.plate.as_str().to_owned()),
        ("model", record.model.as_str().to_owned()),
        ("number", record.number.as_str().to_owned()),
        ("last day", record.expires.to_string()),
        ("reference", reference.to_owned()),
    ])
}

fn in_every_encoding(texts: Vec<(&str, String)>) -> Secrets {
    let mut claims = Secrets::default();
    for (name, text) in texts {
        let utf16: Vec<u16> = text.encode_utf16().collect();
        claims.add(name, &text);
        claims.add(
            &format!("{name} in UTF-16, little endian"),
            utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>(),
        );
        claims.add(
            &format!("{name} in UTF-16, big endian"),
            utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>(),
        );
    }
    claims
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

#[test]
fn reg_040_nothing_of_a_document_is_at_rest_on_the_server() {
    let register = TestRegister::start();
    let folder = tempfile::tempdir().unwrap();
    let server_folder = folder.path().join("server");
    fs::create_dir(&server_folder).unwrap();
    let settings = format!(
        "log = \"trace\"\n[register]\nurl = \"http://{}\"\ntoken_file = {:?}",
        register.address, register.token_file
    );
    let mut server = Process::start(&server_folder, &settings);
    let (client, admin) = (Client::new(server.url()), server.admin_token());
    let create = |path: &str, body: serde_json::Value| {
        let answer = client.json("POST", &format!("/admin/v1{path}"), &admin, Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    };
    let party =
        |body: serde_json::Value| create("/relying-parties", body).json::<CreatedRelyingParty>().token;
    let shop = party(serde_json::json!({ "name": "Shop", "may_ask": false, "may_verify": true }));
    let shop = RelyingParty::new(network(&server.url()), shop);
    let reporter = party(
        serde_json::json!({ "name": "Register", "may_ask": false, "may_verify": false, "report": ["identity_card", "vehicle_registration"], "report_deceased": true }),
    );

    let mut sought = Vec::new();
    for (number, person) in ["olena", "andrii", "yevheniia"].into_iter().enumerate() {
        let record = register.records.document(person, "identity_card").unwrap().unwrap();
        sought.push((person, claims(&record)));
        let code: CreatedEnrolmentCode =
            create("/enrolment-codes", serde_json::json!({ "person": person })).json();
        let keystore = folder.path().join(person);
        let clock = signer_client::desk::SystemClock;
        let mut phone = TestPhone::open(&server.url(), &keystore, MemoryStorage::default(), clock);
        phone.phone.enrol(SUITE, &code.code, &Pin::new("730194").unwrap()).unwrap();
        phone.phone.top_up(DocumentType::IdentityCard).unwrap();
        for profile in Profile::ALL {
            let mut session = phone
                .phone
                .start_show(DocumentType::IdentityCard, Showing::to_whoever_scans(profile))
                .unwrap();
            let code = phone.phone.code(&mut session).unwrap();
            for colour in [Colour::Green, Colour::Red] {
                let id = format!("scan-{number}-{}-{colour:?}", profile.name());
                assert_eq!(shop.verify_code(code.presentation.as_str(), &id).unwrap().result, colour);
            }
        }
        // The name changes: the old one and the new one are both nobody's business.
        let change = Change::Changed { family: Some("Нововведенська".into()), rights: None };
        register.records.apply(person, "identity_card", &change).unwrap();
        let changed = events::event(person, "document.changed", person, 1, Some("identity_card"));
        assert_eq!(events::send_to(&client, &reporter, &changed).status, 200);
        assert!(phone.phone.top_up(DocumentType::IdentityCard).unwrap() > 0);
        let record = register.records.document(person, "identity_card").unwrap().unwrap();
        sought.push((person, claims(&record)));
        let withdrawn = events::event("w", "document.withdrawn", person, 2, Some("identity_card"));
        let mut withdrawn = withdrawn;
        withdrawn["id"] = format!("{person}-withdrawn").into();
        assert_eq!(events::send_to(&client, &reporter, &withdrawn).status, 200);
        let lists = client.send("GET", "/status/v1/lists", &[], b"");
        assert_eq!(lists.status, 200);
    }
    let fleet = party(
        serde_json::json!({ "name": "Fleet", "may_ask": false, "may_verify": false, "generates_for": fleets::TAXIS }),
    );
    let asked = serde_json::json!({ "document_type": "vehicle_registration", "references": ["AA0007EX"] });
    let made = client.json("POST", "/v1/codes", &fleet, Some(&asked)).json::<MadeCodes>();
    let Made::Code { qr, .. } = &made.codes[0].made else { panic!("{made:?}") };
    assert_eq!(shop.verify_code(qr, "scan-vehicle").unwrap().result, Colour::Green);
    let record = register.records.vehicle(fleets::TAXIS, "AA0007EX").unwrap().unwrap();
    sought.push(("a vehicle", vehicle_claims(&record, "AA0007EX")));
    let withdrawn =
        events::event("v", "document.withdrawn", "40000001/AA0007EX", 1, Some("vehicle_registration"));
    assert_eq!(events::send_to(&client, &reporter, &withdrawn).status, 200);
    let running = files(&server_folder);
    assert!(running.iter().any(|(name, bytes)| name.ends_with("store.db-wal") && !bytes.is_empty()));
    assert!(running.iter().any(|(name, bytes)| name.ends_with("log") && bytes.len() > 20_000));
    server.terminate();
    assert!(server.wait().success());
    let stopped = files(&server_folder);
    // The search finds what is there: the reference that the operator enrolled a person under.
    let holds = |bytes: &[u8]| bytes.windows(9).any(|window| window == b"yevheniia");
    assert!(stopped.iter().any(|(name, bytes)| name.contains("store.db") && holds(bytes)));
    for (name, bytes) in running.iter().chain(&stopped) {
        for (person, claims) in &sought {
            assert_eq!(claims.found_in(bytes, false), Vec::<String>::new(), "{person} in {name}");
        }
    }
}
