//! Enrolments and refreshes under way: each stage is left once.

use std::sync::Arc;

use signer_core::{
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, DeviceId},
    time::UnixSeconds,
};
use signer_server::store::{
    BeginCeremony, CEREMONY_SECONDS, CONFIRMATION_SECONDS, CeremonyRow, CeremonyStage, EnrolResult, KeyRow,
    Reserve, RevocationReason, Settled, Store, TakeCeremony, Verdict,
};

use crate::{fixture::*, races::all};

/// Number `n` of the phone `phone`: an enrolment under a code, or a refresh.
fn ceremony(n: u8, phone: u8, code: Option<u8>, started: UnixSeconds) -> CeremonyRow {
    CeremonyRow {
        id: id(n),
        device_key: DevicePublicKeyBytes([phone; 33]),
        code: code.map(|code| [code; 32]),
        stage: CeremonyStage::Begun,
        state: vec![n; 300],
        started,
    }
}

fn id(n: u8) -> CeremonyId {
    CeremonyId::from_bytes([n; 16])
}

fn phone(n: u8) -> DeviceId {
    DevicePublicKeyBytes([n; 33]).device_id()
}

async fn begin(store: &dyn Store, row: CeremonyRow) -> BeginCeremony {
    store.begin_ceremony(row).await.unwrap()
}

async fn stage(store: &dyn Store, n: u8, now: UnixSeconds) -> Option<CeremonyStage> {
    store.ceremony(phone(n), now).await.unwrap().map(|row| row.stage)
}

pub(crate) async fn sto_160_each_stage_of_a_ceremony_is_left_once<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    add_code(&*store, 1, 1).await;
    let begun = ceremony(7, 1, Some(1), T0);
    assert_eq!(begin(&*store, begun.clone()).await, BeginCeremony::Begun);
    assert_eq!(store.ceremony(phone(1), T0).await.unwrap(), Some(begun.clone()));
    assert_eq!(store.take_ceremony(id(7), phone(1), T0).await.unwrap(), TakeCeremony::Unknown);
    assert!(!store.key_ceremony(id(8), phone(1), vec![1], T0).await.unwrap(), "another ceremony");
    assert!(!store.key_ceremony(id(7), phone(2), vec![1], T0).await.unwrap(), "another phone");
    let keyed = all(&store, 32, |store: Arc<dyn Store>, n| async move {
        store.key_ceremony(id(7), phone(1), vec![n; 300], T0).await.unwrap()
    })
    .await;
    assert_eq!(keyed.iter().filter(|done| **done).count(), 1);
    let winner = u8::try_from(keyed.iter().position(|done| *done).unwrap()).unwrap();
    let row = CeremonyRow { stage: CeremonyStage::Keyed, state: vec![winner; 300], ..begun };
    assert_eq!(
        store.ceremony(phone(1), T0).await.unwrap(),
        Some(row.clone()),
        "what was answered is what stays"
    );
    // A failed message of the stage before does not end it.
    store.end_ceremony(id(7), phone(1), CeremonyStage::Begun, T0).await.unwrap();
    let taken = all(&store, 32, |store: Arc<dyn Store>, _| async move {
        store.take_ceremony(id(7), phone(1), T0).await.unwrap()
    })
    .await;
    assert_eq!(taken.iter().filter(|taken| **taken == TakeCeremony::Taken(row.clone())).count(), 1);
    assert_eq!(taken.iter().filter(|taken| **taken == TakeCeremony::Busy).count(), 31);
    assert!(!store.key_ceremony(id(7), phone(1), vec![1], T0).await.unwrap());
    store.end_ceremony(id(7), phone(1), CeremonyStage::Confirming, T0).await.unwrap();
    assert_eq!(store.take_ceremony(id(7), phone(1), T0).await.unwrap(), TakeCeremony::Unknown);
    assert_eq!(store.ceremony(phone(1), T0).await.unwrap(), None);
}

pub(crate) async fn sto_161_ceremonies_are_bounded_and_end_by_their_time<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    add_code(&*store, 1, 1).await;
    for n in [1, 2] {
        assert_eq!(begin(&*store, ceremony(n, n, Some(1), T0)).await, BeginCeremony::Begun);
    }
    assert_eq!(begin(&*store, ceremony(3, 3, Some(1), T0)).await, BeginCeremony::TooMany);
    assert_eq!(begin(&*store, ceremony(3, 3, Some(9), T0)).await, BeginCeremony::CodeUnusable);
    // A new one of a device takes the place of the one that waits.
    assert_eq!(begin(&*store, ceremony(4, 2, Some(1), T0)).await, BeginCeremony::Begun);
    assert!(!store.key_ceremony(id(2), phone(2), vec![1], T0).await.unwrap());
    let (end, over) = (T0.plus(CEREMONY_SECONDS), T0.plus(CEREMONY_SECONDS + 1));
    assert!(store.key_ceremony(id(4), phone(2), vec![4], end).await.unwrap());
    assert!(!store.key_ceremony(id(1), phone(1), vec![1], over).await.unwrap());
    assert_eq!(stage(&*store, 1, over).await, None);
    // While a confirmation is evaluated nothing takes its place; when its server process is gone, or too late, it is over.
    let TakeCeremony::Taken(_) = store.take_ceremony(id(4), phone(2), end).await.unwrap() else {
        panic!("it waits");
    };
    let late = end.plus(CONFIRMATION_SECONDS);
    assert_eq!(begin(&*store, ceremony(5, 2, Some(1), late.minus(1))).await, BeginCeremony::Busy);
    assert_eq!(store.take_ceremony(id(4), phone(2), late).await.unwrap(), TakeCeremony::Unknown);
    drop(store);
    engine.reopen().await;
    let store = engine.store();
    assert_eq!(stage(&*store, 2, end).await, None);
    assert_eq!(begin(&*store, ceremony(5, 2, Some(1), over)).await, BeginCeremony::Begun);
    // What is over is deleted.
    let life = signer_core::trust::Life::Standard;
    store.expire(over.plus(CEREMONY_SECONDS + CONFIRMATION_SECONDS), life).await.unwrap();
    assert!(store.ceremony(phone(2), over).await.unwrap().is_some());
    store.expire(over.plus(CEREMONY_SECONDS + CONFIRMATION_SECONDS + 1), life).await.unwrap();
    assert_eq!(store.ceremony(phone(2), over).await.unwrap(), None);
}

pub(crate) async fn sto_162_a_ceremony_ends_with_what_it_stands_on<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    for code in [1, 3, 4, 5] {
        add_code(&*store, code, code).await;
    }
    for (n, code) in [(11, 1), (12, 1), (13, 3)] {
        assert_eq!(begin(&*store, ceremony(n, n, Some(code), T0)).await, BeginCeremony::Begun);
    }
    // Every one under a code that is used, or used up.
    assert_eq!(store.enrol(new_installation(1, 1), T0).await.unwrap(), EnrolResult::Created);
    store.void_enrolment_code([3; 32], T0).await.unwrap();
    for n in 11..=13 {
        assert_eq!(stage(&*store, n, T0).await, None, "{n}");
    }
    // A phone that is installed begins no enrolment.
    let mut installed = new_installation(4, 4);
    installed.key.device = phone(4);
    assert_eq!(store.enrol(installed, T0).await.unwrap(), EnrolResult::Created);
    assert_eq!(begin(&*store, ceremony(20, 4, Some(5), T0)).await, BeginCeremony::Enrolled);
    // A refresh ends with the promotion, or with the installation.
    assert_eq!(begin(&*store, ceremony(21, 4, None, T0)).await, BeginCeremony::Begun);
    let lease = granted(&*store, Reserve { device: phone(4), ..confirm(1, T0) }).await;
    let KeyRow { id, public_key, .. } = key(4);
    let verdict = Verdict::Refreshed { key: KeyRow { device: phone(4), id, public_key, ..key_at(1) } };
    assert_eq!(store.settle(settle(lease, None, verdict, T0)).await.unwrap(), Settled::Refreshed);
    assert_eq!(stage(&*store, 4, T0).await, None);
    assert_eq!(begin(&*store, ceremony(22, 4, None, T0)).await, BeginCeremony::Begun);
    store.revoke(phone(4), RevocationReason::Unspecified, None, T0).await.unwrap();
    assert_eq!(stage(&*store, 4, T0).await, None);
}
