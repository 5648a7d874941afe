//! Device tokens: the next one, retired ones, late messages.

use signer_core::{time::UnixSeconds, wire::Standing};
use signer_server::store::{Reserve, Reserved, Store, Verdict};

use crate::fixture::*;

fn with(token: u64, n: u8, now: UnixSeconds) -> Reserve {
    Reserve { token: Some(token), ..reserve(n, now) }
}

async fn current(store: &dyn Store) -> (u64, Standing) {
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    (installation.token, installation.standing)
}

/// A success with this token at `now`; the number it gives out.
async fn success(store: &dyn Store, token: u64, n: u8, now: UnixSeconds) -> u64 {
    let lease = granted(store, with(token, n, now)).await;
    recorded(store, settle(lease, None, Verdict::PinProven, now)).await.next_token
}

pub(crate) async fn att_009_the_next_token_becomes_current_even_if_refused<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    assert_eq!(success(&*store, 0, 1, T0).await, 1);
    granted(&*store, with(0, 2, T0)).await;
    assert_eq!(store.reserve(with(1, 3, T0)).await.unwrap(), Reserved::Busy);
    assert_eq!(current(&*store).await, (1, Standing::Good));
    drop(store);
    engine.reopen().await;
    assert_eq!(current(&*engine.store()).await, (1, Standing::Good));
}

pub(crate) async fn att_009_every_success_gives_out_a_number_of_its_own<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let wrong = granted(store, with(0, 1, T0)).await;
    assert_eq!(recorded(store, settle(wrong, None, Verdict::WrongPin, T0)).await.next_token, 0);
    for (n, number) in [(2, 1), (3, 2), (4, 3)] {
        // The answers are lost: the phone goes on with the token it has, which stays good.
        assert_eq!(success(store, 0, n, T0).await, number);
    }
    assert_eq!(success(store, 3, 5, T0).await, 4);
    assert_eq!(current(store).await, (3, Standing::Good));
}

pub(crate) async fn att_010_two_phones_with_one_state_give_themselves_away<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let phone = success(store, 0, 1, T0.plus(10)).await;
    let copy = success(store, 0, 2, T0.plus(20)).await;
    assert_ne!(phone, copy);
    // An old challenge of the overtaken one proves nothing; a fresh one does.
    let late = Reserve { based_on: T0.plus(20), ..with(phone, 3, T0.plus(30)) };
    assert_eq!(store.reserve(late).await.unwrap(), Reserved::Stale);
    assert_eq!(store.reserve(with(phone, 4, T0.plus(30))).await.unwrap(), Reserved::Frozen);
    assert_eq!(store.reserve(with(copy, 5, T0.plus(31))).await.unwrap(), Reserved::Frozen);
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
    let copy = Reserve { based_on: T0.plus(11), ..with(0, 3, T0.plus(20)) };
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
    success(store, 0, 1, T0).await;
    success(store, 1, 3, T0.plus(10)).await;
    for based_on in [T0.plus(9), T0.plus(10)] {
        let late = Reserve { based_on, ..with(0, 2, T0.plus(500)) };
        assert_eq!(store.reserve(late).await.unwrap(), Reserved::Stale);
    }
    assert_eq!(current(store).await, (1, Standing::Good));
    assert_eq!(counted(store).await, (0, 0));
}

/// The same, by a phone that says how many tries before it were not answered.
async fn success_saying(store: &dyn Store, (token, unheard): (u64, u32), n: u8, now: UnixSeconds) -> u64 {
    let lease = granted(store, Reserve { unheard, ..with(token, n, now) }).await;
    recorded(store, settle(lease, None, Verdict::PinProven, now)).await.next_token
}

pub(crate) async fn att_020_a_late_message_overtakes_no_number<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    // Two tries were held back, the third came through.
    let given = success_saying(store, (0, 2), 1, T0.plus(20)).await;
    for (unheard, based_on) in [(0, T0), (1, T0.plus(10)), (1, T0.plus(20))] {
        let late = Reserve { unheard, based_on, ..with(0, 2, T0.plus(30)) };
        assert_eq!(store.reserve(late).await.unwrap(), Reserved::Overtaken);
    }
    assert_eq!(counted(store).await, (0, 0));
    success_saying(store, (given, 0), 3, T0.plus(40)).await;
    assert_eq!(current(store).await, (given, Standing::Good));
}

pub(crate) async fn att_020_answers_lost_in_one_second_are_no_copy<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for (unheard, number) in [(0, 1), (1, 2), (3, 3)] {
        assert_eq!(success_saying(store, (0, unheard), u8::try_from(number).unwrap(), T0).await, number);
    }
    success_saying(store, (3, 0), 4, T0).await;
    assert_eq!(current(store).await, (3, Standing::Good));
}

pub(crate) async fn att_020_a_success_that_the_phone_did_not_have_freezes<E: Engine>() {
    // The copy says of itself what the phone would, or a lie.
    for said in [1, 7, u32::MAX] {
        let mut engine: E = engine().await;
        let store = engine.store();
        enrol(&*store, 1).await;
        success_saying(&*store, (0, 0), 1, T0).await;
        success_saying(&*store, (0, said), 2, T0.plus(10)).await;
        drop(store);
        engine.reopen().await;
        let store = engine.store();
        let phone = Reserve { unheard: 1, ..with(0, 3, T0.plus(20)) };
        assert_eq!(store.reserve(phone).await.unwrap(), Reserved::Frozen);
        assert_eq!(current(&*store).await, (0, Standing::Frozen));
        assert_eq!(counted(&*store).await, (0, 0));
    }
}

pub(crate) async fn att_010_an_unknown_token_changes_nothing<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for token in [1, 2, u64::MAX] {
        assert_eq!(store.reserve(with(token, 1, T0)).await.unwrap(), Reserved::UnknownToken);
    }
    assert_eq!(current(store).await, (0, Standing::Good));
}
