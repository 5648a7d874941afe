//! Many at once, exactly one wins.

use std::{future::Future, sync::Arc};

use signer_core::ids::Epoch;
use signer_server::store::{
    AddResult, AddedCredentials, Burned, ClientProof, EnrolResult, NewRequest, RegisterClient, Reserve,
    Reserved, Store,
};

use crate::{
    clients::visit,
    credentials::{burn, credential},
    fixture::*,
};

/// Does `act` many times at once.
pub(crate) async fn all<T, F>(
    store: &Arc<dyn Store>,
    tasks: u8,
    act: impl Fn(Arc<dyn Store>, u8) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..tasks).map(|n| tokio::spawn(act(Arc::clone(store), n))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

pub(crate) async fn att_002_of_64_reservations_one_is_granted<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    for same in [true, false] {
        let now = if same { T0 } else { T0.plus(LEASE) };
        let base = if same { 200 } else { 0 };
        let answers = all(&store, 64, move |store, n| async move {
            let n = if same { base } else { n };
            store.reserve(Reserve { epoch: Epoch(0), ..reserve(n, now) }).await.unwrap()
        })
        .await;
        let granted = answers.iter().filter(|answer| matches!(answer, Reserved::Granted(_))).count();
        let busy = answers.iter().filter(|answer| **answer == Reserved::Busy).count();
        assert_eq!((granted, busy), (1, 63), "same payload: {same}");
    }
    assert_eq!(counted(&*store).await, (0, 2));
}

pub(crate) async fn sto_011_of_32_enrolments_with_one_code_one_is_created<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    add_code(&*store, 1, 1).await;
    let answers =
        all(&store, 32, |store, n| async move { store.enrol(new_installation(n + 1, 1), T0).await.unwrap() })
            .await;
    assert_eq!(answers.iter().filter(|answer| **answer == EnrolResult::Created).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == EnrolResult::CodeUnusable).count(), 31);
}

pub(crate) async fn sto_013_of_32_requests_with_one_key_one_is_added<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    let answers = all(&store, 32, |store, n| async move {
        let request = NewRequest { idempotency: Some(([1; 32], [2; 32])), ..new_request(n, 1) };
        (request.id, store.add_request(request).await.unwrap())
    })
    .await;
    let added: Vec<_> = answers.iter().filter(|(_, answer)| *answer == AddResult::Added).collect();
    assert_eq!(added.len(), 1);
    let winner = added[0].0;
    assert_eq!(answers.iter().filter(|(_, answer)| *answer == AddResult::Same(winner)).count(), 31);
}

pub(crate) async fn sto_130_of_32_sign_ins_at_once_one_is_added<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    let client = RegisterClient { proof: ClientProof::Key([2; 33]), redirect_uris: None, csc_auth: None };
    store.put_oauth_client(BANK, client, T0).await.unwrap();
    for n in 0..32 {
        assert!(store.add_visit(visit(n), T0).await.unwrap());
    }
    let answers = all(&store, 32, |store, n| async move {
        store.add_request(NewRequest { visit: Some(visit(n).id), ..new_request(n, 1) }).await.unwrap()
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == AddResult::Added).count(), 1);
    let waits = AddResult::SigningIn(T0.plus(3600));
    assert_eq!(answers.iter().filter(|answer| **answer == waits).count(), 31);
}

pub(crate) async fn sto_016_of_100_burns_one_is_fresh<E: Engine>() {
    let engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    assert_eq!(
        store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap(),
        AddedCredentials::Added
    );
    let answers = all(&store, 100, |store, n| async move {
        let mut burn = burn(5, 10, 0);
        burn.request = [n; 32];
        store.burn(burn).await.unwrap()
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Burned::Fresh).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Burned::Used).count(), 99);
}
