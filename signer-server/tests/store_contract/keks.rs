//! Generations of the key-encryption key.

use signer_core::{time::UnixSeconds, wrap::KekId};
use signer_server::store::{
    KekNode, KekRow, KekSource, KekState, Retirement, ServerKeyRow, WrappedColumn, WrappedRow,
};

use crate::fixture::*;

fn row(generation: u32) -> KekRow {
    KekRow {
        generation,
        id: id(generation),
        source: KekSource::File,
        token_wrapped: None,
        check: vec![1],
        state: KekState::Prepared,
        made: T0,
        changed: T0,
    }
}

fn id(generation: u32) -> KekId {
    KekId::from_bytes(generation.to_be_bytes())
}

fn wrapped(generation: u32, rest: u8) -> Vec<u8> {
    [&[1][..], &generation.to_be_bytes(), &[rest; 40]].concat()
}

async fn states(store: &dyn signer_server::store::Store) -> Vec<KekState> {
    store.keks().await.unwrap().into_iter().map(|row| row.state).collect()
}

pub(crate) async fn hsm_001_a_generation_is_used_when_all_hold_it_and_retired_when_nothing_is_under_it<
    E: Engine,
>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    assert!(store.add_kek(row(1), T0).await.unwrap());
    assert!(!store.add_kek(row(1), T0).await.unwrap(), "once");
    assert!(!store.add_kek(row(3), T0).await.unwrap(), "in order");
    store.hold_keks(KekNode { holds: 1, wraps: 1 }, T0).await.unwrap();
    assert!(store.add_kek(row(2), T0).await.unwrap());
    assert!(!store.add_kek(row(3), T0).await.unwrap(), "one at a time");
    assert_eq!(states(&*store).await, [KekState::Current, KekState::Prepared]);
    assert!(!store.put_kek_to_use(2, T0).await.unwrap(), "a node does not hold it");
    store.hold_keks(KekNode { holds: 2, wraps: 1 }, T0).await.unwrap();
    assert!(!store.put_kek_to_use(3, T0).await.unwrap());
    assert!(store.put_kek_to_use(2, T0.plus(5)).await.unwrap());
    assert!(!store.put_kek_to_use(2, T0).await.unwrap(), "once");
    assert_eq!(states(&*store).await, [KekState::Old, KekState::Current]);
    assert_eq!(store.keks().await.unwrap()[1].changed, T0.plus(5));

    let key = |wrapped| ServerKeyRow { purpose: "x".into(), public_key: vec![], wrapped, created: T0 };
    store.server_key(key(wrapped(1, 7)), T0).await.unwrap();
    assert_eq!(store.retire_kek(1, T0).await.unwrap(), Retirement::NodesBehind);
    store.hold_keks(KekNode { holds: 2, wraps: 2 }, T0).await.unwrap();
    assert_eq!(store.retire_kek(1, T0).await.unwrap(), Retirement::InUse);
    assert_eq!(store.retire_kek(2, T0).await.unwrap(), Retirement::NotOld);
    assert_eq!(store.count_under(WrappedColumn::ServerKeys, id(1)).await.unwrap(), 1);
    let found = store.wrapped_under(WrappedColumn::ServerKeys, id(1), 10).await.unwrap();
    let expected = WrappedRow {
        column: WrappedColumn::ServerKeys,
        row: b"x".to_vec(),
        epoch: 0,
        wrapped: wrapped(1, 7),
    };
    assert_eq!(found, [expected]);
    let new = found.into_iter().map(|row| (row, wrapped(2, 8))).collect::<Vec<_>>();
    assert_eq!(store.rewrap(new.clone(), T0).await.unwrap(), 1);
    assert_eq!(store.rewrap(new, T0).await.unwrap(), 0, "it is another by now");
    assert_eq!(store.retire_kek(1, T0).await.unwrap(), Retirement::Done);
    assert_eq!(states(&*store).await, [KekState::Retired, KekState::Current]);
    let late = ServerKeyRow { purpose: "late".into(), ..key(wrapped(1, 9)) };
    assert!(store.server_key(late, T0).await.is_err(), "nothing is written under it any more");

    assert_eq!(store.kek_nodes().await.unwrap(), [KekNode { holds: 2, wraps: 2 }]);
    drop(store);
    engine.reopen().await;
    assert!(engine.store().kek_nodes().await.unwrap().is_empty(), "nodes that are gone do not count");
}

pub(crate) async fn hsm_006_what_changed_meanwhile_is_not_rewrapped<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    let of = |wrapped: &[u8], row: Vec<u8>, epoch| WrappedRow {
        column: WrappedColumn::Shares,
        row,
        epoch,
        wrapped: wrapped.to_vec(),
    };
    let (now, id) = (installation.key.wrapped, installation.key.id.as_bytes().to_vec());
    let epoch = installation.key.epoch.0;
    for wrong in
        [of(b"older", id.clone(), epoch), of(&now, id.clone(), epoch + 1), of(&now, vec![9; 16], epoch)]
    {
        assert_eq!(store.rewrap(vec![(wrong, wrapped(2, 1))], UnixSeconds(T0.0)).await.unwrap(), 0);
    }
    assert_eq!(store.installation(device(1)).await.unwrap().unwrap().key.wrapped, now);
    assert_eq!(store.rewrap(vec![(of(&now, id, epoch), wrapped(2, 1))], T0).await.unwrap(), 1);
    assert_eq!(store.installation(device(1)).await.unwrap().unwrap().key.wrapped, wrapped(2, 1));
}

pub(crate) async fn hsm_009_a_leader_that_was_slow_writes_nothing_under_a_retired_key<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    for generation in 1..=3 {
        assert!(store.add_kek(row(generation), T0).await.unwrap());
        store.hold_keks(KekNode { holds: generation, wraps: generation }, T0).await.unwrap();
        assert_eq!(store.put_kek_to_use(generation, T0).await.unwrap(), generation > 1);
    }
    let key = ServerKeyRow { purpose: "x".into(), public_key: vec![], wrapped: wrapped(1, 7), created: T0 };
    store.server_key(key, T0).await.unwrap();
    assert_eq!(store.retire_kek(2, T0).await.unwrap(), Retirement::InUse, "something is under an older one");
    let found = store.wrapped_under(WrappedColumn::ServerKeys, id(1), 10).await.unwrap();
    let new = |rows: Vec<WrappedRow>, generation| {
        rows.into_iter().map(|row| (row, wrapped(generation, 8))).collect::<Vec<_>>()
    };
    assert_eq!(store.rewrap(new(found, 3), T0).await.unwrap(), 1);
    assert_eq!(store.retire_kek(2, T0).await.unwrap(), Retirement::Done);
    let found = store.wrapped_under(WrappedColumn::ServerKeys, id(3), 10).await.unwrap();
    assert!(store.rewrap(new(found.clone(), 2), T0).await.is_err(), "wrapped before it was retired");
    assert_eq!(store.wrapped_under(WrappedColumn::ServerKeys, id(3), 10).await.unwrap(), found);
}
