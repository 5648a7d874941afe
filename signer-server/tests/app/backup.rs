//! A store that was put back to yesterday.

use std::{fs, path::Path};

use signer_client::{Approved, ClientError};
use signer_core::{
    codec,
    wire::{Envelope, Fetch, Fetched},
};

use crate::{
    harness::{PIN, TestApp, WRONG},
    support::phone::{Fault, TestPhone},
};

pub(crate) fn copy(from: &Path, to: &Path) {
    let _none_yet = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// A fetch that was made and lost on its way.
fn lost_fetch(app: &TestApp, phone: &mut TestPhone, bank: &signer_client::RelyingParty) -> Fetch {
    let id = app.ask(bank, "olena");
    let listed = phone.listed(id);
    phone.wire.fail("fetch", Fault::LoseRequest);
    assert!(matches!(phone.phone.fetch(listed), Err(ClientError::Transport(_))));
    Envelope::decode(&phone.wire.last("fetch").body).unwrap().peek().unwrap()
}

#[test]
fn app_070_a_store_behind_its_witness_does_not_start() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let ids = [(); 2].map(|()| app.ask(&bank, "olena"));
    app.stop();
    let (data, yesterday, newest) =
        (app.config.data_dir.clone(), app.folder().join("yesterday"), app.folder().join("newest"));
    copy(&data, &yesterday);
    app.start().unwrap();
    assert!(matches!(phone.approve(ids[0], WRONG).unwrap(), Approved::WrongPin(_)));
    app.stop();
    copy(&data, &newest);

    copy(&yesterday, &data);
    let refused = app.start().unwrap_err();
    assert!(refused.contains("behind its witness") && refused.contains("restore"), "{refused}");
    // Trying again does not help, nor does it spoil anything.
    assert_eq!(app.start().unwrap_err(), refused);
    copy(&newest, &data);
    app.start().unwrap();
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);
    // Without its witness it does not start either, and says which file it wants.
    app.stop();
    let witness = app.config.witness_dir.clone().unwrap();
    fs::rename(witness.join("witness"), witness.join("away")).unwrap();
    let refused = app.start().unwrap_err();
    assert!(refused.contains("witness") && refused.contains(witness.to_str().unwrap()), "{refused}");
    fs::rename(witness.join("away"), witness.join("witness")).unwrap();
    app.start().unwrap();
    assert!(matches!(phone.approve(ids[0], PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn app_071_nonces_stay_safe_when_store_and_witness_are_put_back_together() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let (first, second) = (lost_fetch(&app, &mut phone, &bank), lost_fetch(&app, &mut phone, &bank));
    app.stop();
    let (data, witness) = (app.config.data_dir.clone(), app.config.witness_dir.clone().unwrap());
    copy(&data, &app.folder().join("data-then"));
    copy(&witness, &app.folder().join("witness-then"));
    app.start().unwrap();
    let fetch = |app: &TestApp, fetch: &Fetch| -> Fetched {
        app.device("fetch", &phone.seal(app.clock.seconds(), fetch)).cbor()
    };
    let then = fetch(&app, &first);
    app.stop();
    copy(&app.folder().join("data-then"), &data);
    copy(&app.folder().join("witness-then"), &witness);
    app.start().unwrap();
    let now = fetch(&app, &first);
    assert_eq!(codec::encode(&now), codec::encode(&then), "the same input has the same nonce");

    // Every other input another one.
    let of = |fetched: &Fetched| fetched.commitments.as_slice()[0].as_slice().to_vec();
    let other_commitment =
        Fetch { commitments: second.commitments.clone(), request: first.request, key: first.key };
    let other_request = Fetch { request: second.request, ..first.clone() };
    let mut seen = vec![of(&now)];
    for other in [&other_commitment, &other_request, &second] {
        seen.push(of(&fetch(&app, other)));
    }
    app.clock.advance(1);
    seen.push(of(&fetch(&app, &first)));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}
