//! Counting, outcomes and verdicts.

use signer_core::{ids::Epoch, wire::Standing};
use signer_server::store::{
    ClosedBy, Counter, OutcomeKind, RequestState, Reserve, Reserved, Settled, StoredOutcome, Verdict,
};

use crate::fixture::*;

pub(crate) async fn att_001_an_attempt_is_counted_before_it_is_evaluated<E: Engine>() {
    let mut engine: E = engine().await;
    enrol(&*engine.store(), 1).await;
    granted(&*engine.store(), reserve(1, T0)).await;
    assert_eq!(counted(&*engine.store()).await, (0, 1));
    engine.reopen().await;
    assert_eq!(counted(&*engine.store()).await, (0, 1));
}

pub(crate) async fn att_003_success_and_server_fault_give_the_attempt_back<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let lease = granted(store, reserve(1, T0)).await;
    recorded(store, settle(lease, None, Verdict::WrongPin, T0)).await;
    let before = store.installation(device(1)).await.unwrap().unwrap().counter;

    let lease = granted(store, reserve(2, T0)).await;
    let answer = store.settle(settle(lease, None, Verdict::ServerFault, T0)).await.unwrap();
    assert_eq!(answer, Settled::GivenBack);
    assert_eq!(store.installation(device(1)).await.unwrap().unwrap().counter, before);

    // The same payload may come again: nothing was stored. A success forgets the wrong PIN, once a day.
    let lease = granted(store, reserve(2, T0)).await;
    let outcome = recorded(store, settle(lease, None, Verdict::PinProven, T0)).await;
    let counter = Counter { stepped_down_at: T0, ..Counter::default() };
    assert_eq!(outcome, StoredOutcome { kind: OutcomeKind::PinProven, counter, next_token: 1, at: T0 });
    assert_eq!(store.installation(device(1)).await.unwrap().unwrap().counter, counter);

    let lease = granted(store, reserve(3, T0)).await;
    recorded(store, settle(lease, None, Verdict::WrongPin, T0)).await;
    let lease = granted(store, reserve(4, T0)).await;
    recorded(store, settle(lease, None, Verdict::PinProven, T0)).await;
    assert_eq!(counted(store).await, (0, 1), "the second success of the day forgets nothing");
}

pub(crate) async fn att_003_a_wrong_pin_stays_counted_and_locks<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let mut now = T0;
    for (level, lock) in [3 * 3600, 24 * 3600].into_iter().enumerate() {
        for n in 1..=3 {
            let lease = granted(store, reserve(u8::try_from(level * 10 + n).unwrap(), now)).await;
            let outcome = recorded(store, settle(lease, None, Verdict::WrongPin, now)).await;
            assert_eq!(outcome.kind, OutcomeKind::WrongPin);
        }
        let until = now.plus(lock);
        assert_eq!(store.reserve(reserve(99, until.minus(1))).await.unwrap(), Reserved::Locked(until));
        now = until;
    }
    for n in 31..=33 {
        let lease = granted(store, reserve(n, now)).await;
        recorded(store, settle(lease, None, Verdict::WrongPin, now)).await;
    }
    assert_eq!(store.reserve(reserve(99, now.plus(1 << 30))).await.unwrap(), Reserved::Blocked);
}

pub(crate) async fn att_006_the_same_payload_gets_its_outcome_for_a_day<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    let id = add_request(&*store, 9, 1).await;
    let ask = |now| Reserve { request: Some(id), ..reserve(1, now) };
    let lease = granted(&*store, ask(T0)).await;
    let outcome = recorded(&*store, settle(lease, Some(id), signed(), T0.plus(1))).await;
    let Verdict::Signed { signatures, record, record_signature } = signed() else { unreachable!() };
    assert_eq!(outcome.kind, OutcomeKind::Signed(signatures.clone()));
    let state =
        RequestState::Signed { signatures, record, record_signature, device: device(1), at: T0.plus(1) };
    assert_eq!(store.request(id, T0.plus(9999)).await.unwrap().unwrap().state, state);

    let lease = granted(&*store, reserve(2, T0.plus(1))).await;
    let wrong = recorded(&*store, settle(lease, None, Verdict::WrongPin, T0.plus(2))).await;
    drop(store);
    engine.reopen().await;
    let store = engine.store();
    let last = T0.plus(24 * 3600);
    assert_eq!(store.reserve(ask(last)).await.unwrap(), Reserved::Stored(outcome));
    assert_eq!(store.reserve(reserve(2, last)).await.unwrap(), Reserved::Stored(wrong));
    assert_eq!(counted(&*store).await, (0, 1), "asking again counts nothing");
    assert_eq!(store.reserve(ask(last.plus(1))).await.unwrap(), Reserved::RequestClosed);
    // Another installation does not see the outcome.
    enrol(&*store, 2).await;
    let other = Reserve { device: device(2), ..ask(last) };
    assert_eq!(store.reserve(other).await.unwrap(), Reserved::RequestClosed);
}

pub(crate) async fn att_011_cheating_ends_the_key<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    enrol(store, 2).await;
    let (mine, other, theirs) =
        (add_request(store, 1, 1).await, add_request(store, 2, 1).await, add_request(store, 3, 2).await);
    let ask = Reserve { request: Some(mine), ..reserve(1, T0) };
    let lease = granted(store, ask.clone()).await;
    let outcome = recorded(store, settle(lease, Some(mine), Verdict::Cheating, T0)).await;
    assert_eq!(outcome.kind, OutcomeKind::Cheating);
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    assert_eq!((installation.standing, installation.key.wrapped.len()), (Standing::Revoked, 0));
    for id in [mine, other] {
        assert_eq!(store.request(id, T0).await.unwrap().unwrap().state, RequestState::KeyEnded);
    }
    assert_eq!(store.request(theirs, T0).await.unwrap().unwrap().state, RequestState::Open);
    assert_eq!(store.reserve(ask).await.unwrap(), Reserved::Stored(outcome));
    assert_eq!(store.reserve(reserve(2, T0)).await.unwrap(), Reserved::Revoked);
}

pub(crate) async fn att_012_nothing_is_signed_for_a_closed_request<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let id = add_request(store, 1, 1).await;
    let late = add_request(store, 2, 1).await;
    let lease = granted(store, Reserve { request: Some(id), ..reserve(1, T0) }).await;
    store.close_request(id, ClosedBy::RelyingParty(BANK), None, T0).await.unwrap();
    let answer = store.settle(settle(lease, Some(id), signed(), T0)).await.unwrap();
    assert_eq!(answer, Settled::RequestClosed);
    assert_eq!(store.request(id, T0).await.unwrap().unwrap().state, RequestState::Cancelled);
    assert_eq!(counted(store).await, (0, 0));

    let end = T0.plus(3600);
    let lease = granted(store, Reserve { request: Some(late), ..reserve(2, end.minus(1)) }).await;
    let answer = store.settle(settle(lease, Some(late), signed(), end)).await.unwrap();
    assert_eq!(answer, Settled::RequestClosed, "it ran out during the evaluation");

    // A wrong PIN is counted also if the holder declines meanwhile: declining buys no free guess.
    let id = add_request(store, 3, 1).await;
    let lease = granted(store, Reserve { request: Some(id), ..reserve(3, T0) }).await;
    store.close_request(id, ClosedBy::Device(device(1)), None, T0).await.unwrap();
    recorded(store, settle(lease, Some(id), Verdict::WrongPin, T0)).await;
    assert_eq!(counted(store).await, (0, 1));
}

pub(crate) async fn att_012_nothing_is_released_for_a_frozen_or_revoked_installation<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let id = add_request(store, 1, 1).await;
    let lease = granted(store, Reserve { request: Some(id), ..reserve(1, T0) }).await;
    assert!(store.set_standing(device(1), Standing::Frozen, T0).await.unwrap());
    assert_eq!(store.settle(settle(lease, Some(id), signed(), T0)).await.unwrap(), Settled::LeaseLost);
    assert_eq!(counted(store).await, (0, 1));
    assert_eq!(store.request(id, T0).await.unwrap().unwrap().state, RequestState::Open);

    assert!(store.set_standing(device(1), Standing::Good, T0).await.unwrap());
    let lease = granted(store, reserve(2, T0)).await;
    assert!(store.set_standing(device(1), Standing::Revoked, T0).await.unwrap());
    let answer = store.settle(settle(lease, None, Verdict::PinProven, T0)).await.unwrap();
    assert_eq!(answer, Settled::LeaseLost);
}

pub(crate) async fn att_013_refusals_come_in_order<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    enrol(store, 2).await;
    let (mine, theirs) = (add_request(store, 1, 1).await, add_request(store, 2, 2).await);
    let bad = Reserve { epoch: Epoch(1), token: Some(7), ..reserve(1, T0) };
    for request in [theirs, signer_core::ids::RequestId::from_bytes([77; 16])] {
        let ask = Reserve { request: Some(request), ..bad.clone() };
        assert_eq!(store.reserve(ask).await.unwrap(), Reserved::RequestClosed);
    }
    let nobody = Reserve { device: device(9), ..reserve(1, T0) };
    assert_eq!(store.reserve(nobody).await.unwrap(), Reserved::Revoked);
    store.set_standing(device(1), Standing::Frozen, T0).await.unwrap();
    let ask = Reserve { request: Some(mine), ..bad.clone() };
    assert_eq!(store.reserve(ask.clone()).await.unwrap(), Reserved::Frozen);
    store.set_standing(device(1), Standing::Good, T0).await.unwrap();
    assert_eq!(store.reserve(ask.clone()).await.unwrap(), Reserved::Stale);
    let ask = Reserve { epoch: Epoch(0), ..ask };
    assert_eq!(store.reserve(ask.clone()).await.unwrap(), Reserved::UnknownToken);
    let lease = granted(store, Reserve { token: Some(0), ..ask.clone() }).await;
    assert_eq!(store.reserve(ask.clone()).await.unwrap(), Reserved::UnknownToken, "before busy");
    assert_eq!(store.reserve(reserve(2, T0)).await.unwrap(), Reserved::Busy);
    recorded(store, settle(lease, Some(mine), Verdict::WrongPin, T0)).await;
    assert_eq!(counted(store).await, (0, 1), "refusals count nothing");
}
