//! Credentials of organisations' documents.

use signer_core::{credential::StatusIndex, wire::EventOutcome};
use signer_server::store::{
    Burned, DocumentHash, FleetCredentialRow, Happened, LivePlace, Report, Reported, Withdrawal,
};

use crate::{
    credentials::{burn, credential},
    fixture::*,
    reports::report,
};

const TAXI: DocumentHash = DocumentHash([4; 32]);

fn place(index: u32) -> StatusIndex {
    StatusIndex { list: 1, index }
}

fn row(index: u32, document: DocumentHash) -> FleetCredentialRow {
    let mut day_key = [3; 33];
    day_key[..4].copy_from_slice(&index.to_be_bytes());
    FleetCredentialRow {
        status: place(index),
        document,
        document_type: 3,
        wrapped_document: vec![8; 40],
        day_key,
        expires: T0.plus(26 * 3600),
    }
}

pub(crate) async fn flt_004_places_are_drawn_from_one_table<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    let rows = |indexes: [u32; 3]| indexes.map(|index| row(index, TAXI)).to_vec();
    assert_eq!(store.take_places(rows([5, 6, 6]), T0).await.unwrap(), [0, 2]);
    assert_eq!(store.fleet_credential(place(6)).await.unwrap(), None, "all or nothing");
    assert!(store.take_places(rows([6, 7, 8]), T0).await.unwrap().is_empty());
    assert_eq!(store.fleet_credential(place(6)).await.unwrap(), Some(row(6, TAXI)));
    assert_eq!(store.fleet_credential(place(5)).await.unwrap(), None, "a phone's");
    assert_eq!(store.credential(1, 6).await.unwrap(), None, "not a phone's");
    let taken = store.add_credentials(vec![credential(6, 1)], None, T0).await.unwrap();
    assert_eq!(taken, signer_server::store::AddedCredentials::Taken(vec![0]));
    // What was not used is free again; a phone's place is not given back by this.
    store.give_back(vec![place(7), place(5)], T0).await.unwrap();
    assert_eq!(store.fleet_credential(place(7)).await.unwrap(), None);
    assert!(store.credential(1, 5).await.unwrap().is_some());
    let mut since = store.issued_since(1, signer_core::time::UnixSeconds(0)).await.unwrap();
    since.sort_unstable();
    assert_eq!(since, [5, 6, 8]);
}

pub(crate) async fn flt_005_a_code_is_used_once_and_the_next_turn_is_known<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    assert!(store.take_places(vec![row(6, TAXI), row(7, TAXI)], T0).await.unwrap().is_empty());
    assert_eq!(store.look(burn(6, 10, 0)).await.unwrap(), None);
    assert_eq!(store.burn(burn(6, 10, 0)).await.unwrap(), Burned::Fresh);
    let other = |index, step, n| signer_server::store::Burn { request: [2; 32], ..burn(index, step, n) };
    assert_eq!(store.burn(other(6, 10, 0)).await.unwrap(), Burned::Used);
    assert_eq!(store.burn(other(6, 10, 3)).await.unwrap(), Burned::Fresh);
    assert_eq!(store.burn(other(6, 9, 15)).await.unwrap(), Burned::Superseded);
    let states = store.live_places(vec![place(7), place(6), place(99)]).await.unwrap();
    assert_eq!(states, [Some(LivePlace { used: None }), Some(LivePlace { used: Some((10, 3)) }), None]);
}

pub(crate) async fn flt_006_an_event_ends_what_has_its_place_and_lists_say_so<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let other = DocumentHash([5; 32]);
    assert!(store.take_places(vec![row(6, TAXI), row(7, TAXI), row(8, other)], T0).await.unwrap().is_empty());
    let event = Report { document: Some(TAXI), ..report(1, 1, 1, Happened::Withdrawn(3)) };
    let taken = Reported::Taken { outcome: EventOutcome::Applied, device: None };
    assert_eq!(store.report(event).await.unwrap(), taken);
    let live = store.live_places(vec![place(6), place(7), place(8)]).await.unwrap();
    assert_eq!(live, [None, None, Some(LivePlace { used: None })]);
    assert_eq!(store.burn(burn(6, 10, 0)).await.unwrap(), Burned::Withdrawn);
    assert_eq!(store.burn(burn(8, 10, 0)).await.unwrap(), Burned::Fresh);
    let ended = [6, 7].map(|index| Withdrawal { index, suspended: false });
    assert_eq!(store.withdrawals(1).await.unwrap(), ended);
    store.withdraw_document(other, T0).await.unwrap();
    assert_eq!(store.live_places(vec![place(8)]).await.unwrap(), [None]);
    let later = T0.plus(26 * 3600 + 86_400);
    store.expire(later, signer_core::trust::Life::Standard).await.unwrap();
    assert_eq!(store.fleet_credential(place(8)).await.unwrap(), None);
}
