//! The end of a refresh: reserved, counted and settled like an approve.

use std::sync::Arc;

use signer_core::{
    ids::{DeviceId, Epoch, KeyId},
    suite::{GroupPublicKey, SuiteId},
    wire::Standing,
};
use signer_server::store::{Counter, KeyRow, Reserve, Reserved, RevocationReason, Settled, Store, Verdict};

use crate::fixture::*;

async fn stored_key(store: &dyn Store) -> KeyRow {
    store.installation(device(1)).await.unwrap().unwrap().key
}

async fn ended(store: &dyn Store) -> bool {
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    installation.standing == Standing::Revoked && installation.key.wrapped.is_empty()
}

pub(crate) async fn sto_012_promotion_replaces_the_share<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    for epoch in 1..=3 {
        let ask = Reserve { epoch: Epoch(epoch - 1), ..confirm(u8::try_from(epoch).unwrap(), T0) };
        let lease = granted(&*store, ask).await;
        let settled = store.settle(settle(lease, None, refreshed(epoch), T0)).await.unwrap();
        assert_eq!(settled, Settled::Refreshed);
    }
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert_eq!(stored_key(store).await, key_at(3));
    assert_eq!(store.reserve(confirm(9, T0)).await.unwrap(), Reserved::Stale, "from an earlier epoch");
}

pub(crate) async fn sto_140_the_proof_of_an_enrolment_stays<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    assert_eq!(store.enrolment_proof(device(1)).await.unwrap(), None);
    enrol(&*store, 1).await;
    enrol(&*store, 2).await;
    let lease = granted(&*store, confirm(1, T0)).await;
    assert_eq!(store.settle(settle(lease, None, refreshed(1), T0)).await.unwrap(), Settled::Refreshed);
    assert_ne!(stored_key(&*store).await.proof, key(1).proof, "that of the new shares");
    store.revoke(device(1), RevocationReason::Superseded, None, T0).await.unwrap();
    drop(store);
    engine.reopen().await;
    let store = engine.store();
    for n in [1, 2] {
        assert_eq!(store.enrolment_proof(device(n)).await.unwrap(), Some(enrolment_proof(n)));
    }
}

pub(crate) async fn sto_012_promotion_refuses_what_does_not_fit<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    enrol(store, 2).await;
    let lease = granted(store, confirm(1, T0)).await;
    let next = key_at(1);
    for bad in [
        KeyRow { epoch: Epoch(2), ..next.clone() },
        KeyRow { epoch: Epoch(0), ..next.clone() },
        KeyRow { id: KeyId::from_bytes([3; 16]), ..next.clone() },
        KeyRow { device: DeviceId::from_bytes([3; 16]), ..next.clone() },
        KeyRow { epoch: Epoch(1), ..key(2) },
        KeyRow { suite: SuiteId::Es256, ..next.clone() },
        KeyRow { public_key: GroupPublicKey([3; 33]), ..next.clone() },
    ] {
        let verdict = Verdict::Refreshed { key: bad };
        assert!(store.settle(settle(lease, None, verdict.clone(), T0)).await.is_err(), "{verdict:?}");
    }
    assert_eq!((stored_key(store).await, counted(store).await), (key(1), (0, 1)));
    assert_eq!(store.installation(device(2)).await.unwrap().unwrap().key, key(2));
    // What was refused changed nothing: the reservation is still out, and what fits is settled.
    assert_eq!(store.settle(settle(lease, None, refreshed(1), T0)).await.unwrap(), Settled::Refreshed);

    let lease = granted(store, Reserve { epoch: Epoch(1), ..confirm(2, T0) }).await;
    store.set_standing(device(1), Standing::Frozen, T0).await.unwrap();
    assert_eq!(store.settle(settle(lease, None, refreshed(2), T0)).await.unwrap(), Settled::LeaseLost);
    assert_eq!((stored_key(store).await, counted(store).await), (key_at(1), (0, 1)));
    assert_eq!(store.reserve(confirm(3, T0)).await.unwrap(), Reserved::Frozen);
    store.set_standing(device(1), Standing::Good, T0).await.unwrap();
    let lease = granted(store, Reserve { epoch: Epoch(1), ..confirm(4, T0) }).await;
    store.set_standing(device(1), Standing::Revoked, T0).await.unwrap();
    assert_eq!(store.settle(settle(lease, None, refreshed(2), T0)).await.unwrap(), Settled::LeaseLost);
    assert!(ended(store).await, "a revoked key has no share again");
    assert_eq!(store.reserve(confirm(5, T0)).await.unwrap(), Reserved::Revoked);
}

pub(crate) async fn att_012_a_refresh_ends_late_evaluations<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let id = add_request(store, 1, 1).await;
    let old = granted(store, Reserve { request: Some(id), ..reserve(1, T0) }).await;
    let later = T0.plus(LEASE);
    let lease = granted(store, confirm(2, later)).await;
    assert_eq!(store.settle(settle(lease, None, refreshed(1), later)).await.unwrap(), Settled::Refreshed);
    let late = store.settle(settle(old, Some(id), signed(), later)).await.unwrap();
    assert_eq!((late, counted(store).await), (Settled::LeaseLost, (0, 1)));
    assert_eq!(store.reserve(reserve(1, later)).await.unwrap(), Reserved::Stale);
}

pub(crate) async fn att_015_a_confirmation_gives_its_attempt_back_and_nothing_else<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for n in 1..=2 {
        let lease = granted(store, reserve(n, T0)).await;
        recorded(store, settle(lease, None, Verdict::WrongPin, T0)).await;
    }
    let before = store.installation(device(1)).await.unwrap().unwrap();
    let lease = granted(store, confirm(3, T0)).await;
    assert_eq!(counted(store).await, (1, 0), "counted before it is evaluated");
    assert_eq!(store.settle(settle(lease, None, refreshed(1), T0)).await.unwrap(), Settled::Refreshed);
    let after = store.installation(device(1)).await.unwrap().unwrap();
    assert_eq!((after.counter, after.token), (before.counter, before.token));
    assert_eq!(after.counter, Counter { wrong: 2, ..Counter::default() }, "not stepped down");
    // No token was given out: the next number is still unknown.
    let next = Reserve { epoch: Epoch(1), ..reserve(4, T0) };
    let ask = Reserve { token: Some(1), ..next.clone() };
    assert_eq!(store.reserve(ask).await.unwrap(), Reserved::UnknownToken);
    // No outcome is stored, and the key is free.
    assert_eq!(store.stored_outcome(device(1), payload(3), T0).await.unwrap(), None);
    granted(store, next).await;
}

pub(crate) async fn att_015_a_confirmation_and_an_approve_exclude_each_other<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let last = T0.plus(LEASE - 1);
    let approve = granted(store, reserve(1, T0)).await;
    assert_eq!(store.reserve(confirm(2, last)).await.unwrap(), Reserved::Busy);
    recorded(store, settle(approve, None, Verdict::WrongPin, last)).await;
    let confirmation = granted(store, confirm(2, last)).await;
    for other in [reserve(3, last), confirm(2, last), confirm(4, last)] {
        assert_eq!(store.reserve(other).await.unwrap(), Reserved::Busy);
    }
    assert_eq!(counted(store).await, (0, 2), "who was busy is not counted");
    let settled = store.settle(settle(confirmation, None, refreshed(1), last)).await.unwrap();
    assert_eq!((settled, counted(store).await), (Settled::Refreshed, (0, 1)));
}

pub(crate) async fn att_015_of_32_confirmations_and_approves_one_is_granted<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    let tasks: Vec<_> = (0..32)
        .map(|n: u8| {
            let (store, ask) =
                (Arc::clone(&store), if n.is_multiple_of(2) { reserve(n, T0) } else { confirm(n, T0) });
            tokio::spawn(async move { store.reserve(ask).await.unwrap() })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Reserved::Granted(_) => granted += 1,
            other => assert_eq!(other, Reserved::Busy),
        }
    }
    assert_eq!((granted, counted(&*store).await), (1, (0, 1)));
}

pub(crate) async fn att_015_a_confirmation_waits_for_the_end_of_a_lock<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for n in 1..=3 {
        let lease = granted(store, reserve(n, T0)).await;
        recorded(store, settle(lease, None, Verdict::WrongPin, T0)).await;
    }
    let until = T0.plus(3 * 3600);
    assert_eq!(store.reserve(confirm(4, until.minus(1))).await.unwrap(), Reserved::Locked(until));
    let lease = granted(store, confirm(4, until)).await;
    assert_eq!(store.settle(settle(lease, None, refreshed(1), until)).await.unwrap(), Settled::Refreshed);
    assert_eq!(counted(store).await, (1, 0));
}

pub(crate) async fn att_015_a_cheating_confirmation_ends_the_key<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    let lease = granted(&*store, confirm(1, T0)).await;
    recorded(&*store, settle(lease, None, Verdict::Cheating, T0)).await;
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert!(ended(store).await);
    for ask in [reserve(2, T0), confirm(2, T0)] {
        assert_eq!(store.reserve(ask).await.unwrap(), Reserved::Revoked);
    }
}

pub(crate) async fn att_015_a_late_finding_of_a_cheating_confirmation_still_ends_the_key<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let later = T0.plus(LEASE);
    let slow = granted(store, confirm(1, T0)).await;
    let other = granted(store, reserve(2, later)).await;
    let late = store.settle(settle(slow, None, Verdict::Cheating, later)).await.unwrap();
    assert_eq!(late, Settled::LeaseLost);
    assert!(ended(store).await);
    let answer = store.settle(settle(other, None, Verdict::PinProven, later)).await.unwrap();
    assert_eq!(answer, Settled::LeaseLost, "nothing of the key is answered any more");
}

pub(crate) async fn att_015_a_late_confirmation_promotes_nothing<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let later = T0.plus(LEASE);
    let slow = granted(store, confirm(1, T0)).await;
    let other = granted(store, reserve(2, later)).await;
    assert_eq!(store.settle(settle(slow, None, refreshed(1), later)).await.unwrap(), Settled::LeaseLost);
    assert_eq!((stored_key(store).await, counted(store).await), (key(1), (0, 2)));
    recorded(store, settle(other, None, Verdict::PinProven, later)).await;
}

pub(crate) async fn att_015_a_confirmation_that_died_stays_counted_and_the_old_shares_live<E: Engine>() {
    let mut engine: E = engine().await;
    enrol(&*engine.store(), 1).await;
    let dead = granted(&*engine.store(), confirm(1, T0)).await;
    engine.reopen().await;
    let store = engine.store();
    assert_eq!((stored_key(&*store).await, counted(&*store).await), (key(1), (0, 1)));
    // Its ceremony died with the process; the next attempt replaces it and it stays counted for good.
    let next = granted(&*store, reserve(2, T0)).await;
    assert_eq!(store.settle(settle(dead, None, refreshed(1), T0)).await.unwrap(), Settled::LeaseLost);
    let answer = store.settle(settle(next, None, Verdict::ServerFault, T0)).await.unwrap();
    assert_eq!(answer, Settled::GivenBack);
    assert_eq!((stored_key(&*store).await, counted(&*store).await), (key(1), (0, 1)));
}

pub(crate) async fn att_015_a_fault_of_the_server_leaves_the_old_shares<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let lease = granted(store, confirm(1, T0)).await;
    let answer = store.settle(settle(lease, None, Verdict::ServerFault, T0)).await.unwrap();
    assert_eq!((answer, counted(store).await), (Settled::GivenBack, (0, 0)));
    assert_eq!(stored_key(store).await, key(1));
    granted(store, reserve(2, T0)).await;
}
