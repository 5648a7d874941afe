//! Reservations that are held, run out, are taken up again and taken over.

use signer_core::wire::Standing;
use signer_server::store::{Reserved, Settled, Verdict};

use crate::fixture::*;

pub(crate) async fn att_002_a_reservation_holds_against_everybody<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let lease = granted(store, reserve(1, T0)).await;
    let last = T0.plus(LEASE - 1);
    for n in [1, 2] {
        assert_eq!(store.reserve(reserve(n, last)).await.unwrap(), Reserved::Busy, "payload {n}");
    }
    recorded(store, settle(lease, None, Verdict::PinProven, last)).await;
    granted(store, reserve(2, last)).await;
}

pub(crate) async fn att_007_the_same_payload_takes_a_dead_lease_up_again<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for n in 1..=2 {
        let lease = granted(store, reserve(n, T0)).await;
        recorded(store, settle(lease, None, Verdict::WrongPin, T0)).await;
    }
    // The third attempt locks as long as it is not settled; its own payload may go on nevertheless.
    let first = granted(store, reserve(3, T0)).await;
    let later = T0.plus(LEASE);
    assert!(matches!(store.reserve(reserve(4, later)).await.unwrap(), Reserved::Locked(_)));
    let second = granted(store, reserve(3, later)).await;
    assert!(second.serial > first.serial);
    assert_eq!(counted(store).await, (1, 0), "not counted twice");
    let late = store.settle(settle(first, None, Verdict::PinProven, later)).await.unwrap();
    assert_eq!(late, Settled::LeaseLost, "only the newest reservation settles");
    recorded(store, settle(second, None, Verdict::PinProven, later)).await;
    assert_eq!(
        counted(store).await,
        (0, 0),
        "its own attempt was given back, and the day's success forgot the two"
    );
}

pub(crate) async fn att_007_a_reservation_of_a_gone_process_is_taken_up_again<E: Engine>() {
    let mut engine: E = engine().await;
    enrol(&*engine.store(), 1).await;
    let first = granted(&*engine.store(), reserve(1, T0)).await;
    for _ in 0..3 {
        engine.reopen().await;
        let again = granted(&*engine.store(), reserve(1, T0)).await;
        assert!(again.serial > first.serial);
        assert_eq!(counted(&*engine.store()).await, (0, 1));
    }
    engine.reopen().await;
    let store = &*engine.store();
    let last = granted(store, reserve(1, T0)).await;
    let answer = store.settle(settle(last, None, Verdict::ServerFault, T0)).await.unwrap();
    assert_eq!((answer, counted(store).await), (Settled::GivenBack, (0, 0)));
}

pub(crate) async fn att_008_another_payload_takes_over_and_the_old_attempt_stays_counted<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let old = granted(store, reserve(1, T0)).await;
    let later = T0.plus(LEASE);
    let new = granted(store, reserve(2, later)).await;
    assert_eq!(counted(store).await, (0, 2));
    let id = add_request(store, 1, 1).await;
    let late = store.settle(settle(old, Some(id), signed(), later)).await.unwrap();
    assert_eq!(late, Settled::LeaseLost);
    let answer = store.settle(settle(new, None, Verdict::ServerFault, later)).await.unwrap();
    assert_eq!((answer, counted(store).await), (Settled::GivenBack, (0, 1)), "the old one stays");
    let again = granted(store, reserve(1, later)).await;
    assert_eq!(counted(store).await, (0, 2), "the first payload is a new attempt now");
    recorded(store, settle(again, None, Verdict::WrongPin, later)).await;
    let twice = store.settle(settle(again, None, Verdict::PinProven, later)).await.unwrap();
    assert_eq!(twice, Settled::LeaseLost, "settled once");
}

pub(crate) async fn att_011_a_late_finding_of_cheating_still_ends_the_key<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let old = granted(store, reserve(1, T0)).await;
    let new = granted(store, reserve(2, T0.plus(LEASE))).await;
    let late = store.settle(settle(old, None, Verdict::Cheating, T0.plus(LEASE))).await.unwrap();
    assert_eq!(late, Settled::LeaseLost);
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    assert_eq!((installation.standing, installation.key.wrapped.len()), (Standing::Revoked, 0));
    let answer = store.settle(settle(new, None, Verdict::PinProven, T0.plus(LEASE))).await.unwrap();
    assert_eq!(answer, Settled::LeaseLost);
}
