//! Device tokens: the next one, retired ones, late messages.

use signer_core::{time::UnixSeconds, wire::Standing};
use signer_server::store::{Reserve, Reserved, Store, Verdict};

use crate::fixture::*;

fn with(token: u64, n: u8, now: UnixSeconds) -> Reserve {
    Reserve { token, ..reserve(n, now) }
}

async fn current(store: &dyn Store) -> (u64, Standing) {
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    (installation.token, installation.standing)
}

pub(crate) async fn att_009_the_next_token_becomes_current_even_if_refused<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    let lease = granted(&*store, with(0, 1, T0)).await;
    assert_eq!(store.reserve(with(1, 2, T0)).await.unwrap(), Reserved::Busy);
    assert_eq!(current(&*store).await, (1, Standing::Good));
    let outcome = recorded(&*store, settle(lease, None, Verdict::WrongPin, T0)).await;
    assert_eq!(outcome.next_token, 2);
    for n in 2..=3 {
        let lease = granted(&*store, with(1, n, T0)).await;
        recorded(&*store, settle(lease, None, Verdict::WrongPin, T0)).await;
    }
    assert!(matches!(store.reserve(with(2, 4, T0)).await.unwrap(), Reserved::Locked(_)));
    drop(store);
    engine.reopen().await;
    assert_eq!(current(&*engine.store()).await, (2, Standing::Good));
}

pub(crate) async fn att_010_a_retired_token_freezes<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    let lease = granted(&*store, with(0, 1, T0)).await;
    recorded(&*store, settle(lease, None, Verdict::PinProven, T0)).await;
    let lease = granted(&*store, with(1, 2, T0.plus(10))).await;
    recorded(&*store, settle(lease, None, Verdict::PinProven, T0.plus(10))).await;
    // The phone had the new token since T0+10; who fetches later with the old one is another phone.
    let copy = Reserve { based_on: T0.plus(10), ..with(0, 3, T0.plus(20)) };
    assert_eq!(store.reserve(copy).await.unwrap(), Reserved::Frozen);
    drop(store);
    engine.reopen().await;
    let store = engine.store();
    assert_eq!(current(&*store).await, (1, Standing::Frozen));
    assert_eq!(counted(&*store).await, (0, 0));
    assert_eq!(store.reserve(with(1, 4, T0.plus(21))).await.unwrap(), Reserved::Frozen);
    // Outcomes from before can still be asked for.
    assert!(matches!(store.reserve(with(0, 1, T0.plus(22))).await.unwrap(), Reserved::Stored(_)));
}

pub(crate) async fn att_010_a_late_message_is_stale_and_does_not_freeze<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let lease = granted(store, with(1, 1, T0.plus(10))).await;
    recorded(store, settle(lease, None, Verdict::PinProven, T0.plus(10))).await;
    let late = Reserve { based_on: T0.plus(9), ..with(0, 2, T0.plus(500)) };
    assert_eq!(store.reserve(late).await.unwrap(), Reserved::Stale);
    assert_eq!(current(store).await, (1, Standing::Good));
    assert_eq!(counted(store).await, (0, 0));
}

pub(crate) async fn att_010_an_unknown_token_changes_nothing<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for token in [2, 3, u64::MAX] {
        assert_eq!(store.reserve(with(token, 1, T0)).await.unwrap(), Reserved::UnknownToken);
    }
    assert_eq!(current(store).await, (0, Standing::Good));
}
