//! Attempts of many installations at once.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::wire::Standing;
use signer_server::store::{
    OutcomeKind, Reserve, Reserved, Settled, Store, Verdict,
    postgres::{PostgresOptions, PostgresStore},
};

use crate::{fixture::*, postgres::Database, races::all};

const MANY: u8 = 24;
/// Shows a token that was overtaken.
const COPY: u8 = 7;
const SUSPENDED: u8 = 9;
const UNKNOWN_TOKEN: u8 = 11;
const CHEAT: u8 = 5;

async fn enrol_many(store: &dyn Store) {
    for n in 1..=MANY {
        enrol(store, n).await;
        add_request(store, n, n).await;
    }
}

/// A reservation of installation `n` for its request.
fn reserve_of(n: u8, payload: u8, token: u64) -> Reserve {
    let request = Some(new_request(n, n).id);
    Reserve { device: device(n), request, token: Some(token), ..reserve(payload, T0) }
}

pub(crate) async fn sto_201_attempts_of_many_installations_at_once_end_as_each_would_alone<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    enrol_many(&*store).await;
    for (payload, token) in [(200, 0), (201, 1)] {
        let lease = granted(&*store, Reserve { request: None, ..reserve_of(COPY, payload, token) }).await;
        recorded(&*store, settle(lease, None, Verdict::PinProven, T0)).await;
    }
    store.suspend(device(SUSPENDED), true, None, T0).await.unwrap();

    let reserved = all(&store, MANY, async |store, n| {
        let _announced = store.announce();
        let token = if n + 1 == UNKNOWN_TOKEN { 99 } else { 0 };
        // Fetched after the copy's number was retired.
        let reserve = Reserve { based_on: T0.plus(1), ..reserve_of(n + 1, 1, token) };
        store.reserve(reserve).await.unwrap()
    })
    .await;
    let mut leases = Vec::new();
    for (n, reserved) in (1..).zip(reserved) {
        match (n, reserved) {
            (COPY, Reserved::Frozen)
            | (SUSPENDED, Reserved::Suspended)
            | (UNKNOWN_TOKEN, Reserved::UnknownToken) => {}
            (_, Reserved::Granted(lease)) => leases.push((n, lease)),
            (n, other) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(leases.len(), usize::from(MANY) - 3);

    let count = u8::try_from(leases.len()).unwrap();
    let settled = all(&store, count, move |store, place| {
        let (n, lease) = leases[usize::from(place)];
        async move {
            let _announced = store.announce();
            let verdict = match n {
                CHEAT => Verdict::Cheating,
                _ if n % 4 == 0 => Verdict::WrongPin,
                _ => signed(),
            };
            let Settled::Recorded(outcome) =
                store.settle(settle(lease, Some(new_request(n, n).id), verdict, T0)).await.unwrap()
            else {
                panic!("{n}: not recorded")
            };
            (n, outcome)
        }
    })
    .await;
    for (n, outcome) in settled {
        let installation = store.installation(device(n)).await.unwrap().unwrap();
        let (standing, wrong) = match outcome.kind {
            OutcomeKind::Cheating if n == CHEAT => (Standing::Revoked, 1),
            OutcomeKind::WrongPin if n % 4 == 0 => (Standing::Good, 1),
            OutcomeKind::Signed(_) if n % 4 != 0 => (Standing::Good, 0),
            other => panic!("{n}: {other:?}"),
        };
        assert_eq!((installation.standing, installation.counter.wrong), (standing, wrong), "{n}");
        assert_eq!(store.reserve(reserve_of(n, 1, 0)).await.unwrap(), Reserved::Stored(outcome), "{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_202_on_postgresql_attempts_that_were_announced_share_one_commit() {
    let database = Database::create();
    // Longer than the test may take: only what was announced ends the wait.
    let options =
        PostgresOptions { group_window: Duration::from_secs(60), ..PostgresOptions::new(database.url()) };
    let store = PostgresStore::open(&options, &mut StdRng::seed_from_u64(1)).await.unwrap();
    let store: std::sync::Arc<dyn Store> = store;
    add_party(&*store, BANK).await;
    enrol_many(&*store).await;
    let announced: Vec<_> = (0..MANY).map(|_| store.announce()).collect();
    let before = store.commits();
    let reserved =
        all(&store, MANY, async |store, n| store.reserve(reserve_of(n + 1, 1, 0)).await.unwrap()).await;
    assert_eq!(store.commits() - before, 1);
    let leases: Vec<_> = reserved
        .into_iter()
        .map(|reserved| match reserved {
            Reserved::Granted(lease) => lease,
            other => panic!("{other:?}"),
        })
        .collect();
    let settled =
        all(&store, MANY, move |store, n| {
            let lease = leases[usize::from(n)];
            async move {
                store.settle(settle(lease, Some(new_request(n + 1, n + 1).id), signed(), T0)).await.unwrap()
            }
        })
        .await;
    assert!(settled.iter().all(|settled| matches!(settled, Settled::Recorded(_))), "{settled:?}");
    assert_eq!(store.commits() - before, 2);
    drop(announced);
}
