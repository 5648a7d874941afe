//! Enrolment, standing.

use signer_core::{ids::KeyId, wire::Standing};
use signer_server::store::{
    Counter, EnrolResult, EnrolmentCodeRow, Installation, KeyRow, NewInstallation, RequestState,
};

use crate::fixture::*;

pub(crate) async fn sto_011_a_code_enrols_once_and_not_after_its_end<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let end = T0.plus(60);
    let code = EnrolmentCodeRow { hash: [1; 32], holder: holder(1), expires: end };
    store.add_enrolment_code(code.clone(), T0).await.unwrap();
    assert!(store.add_enrolment_code(code, T0).await.is_err(), "a code is added once");
    assert_eq!(store.holder_of_code([1; 32], end.minus(1)).await.unwrap(), Some(holder(1)));
    assert_eq!(store.holder_of_code([1; 32], end).await.unwrap(), None);
    assert_eq!(store.holder_of_code([2; 32], T0).await.unwrap(), None);
    assert_eq!(store.enrol(new_installation(1, 1), end).await.unwrap(), EnrolResult::CodeUnusable);
    assert_eq!(store.enrol(new_installation(1, 2), T0).await.unwrap(), EnrolResult::CodeUnusable);
    assert_eq!(store.installation(device(1)).await.unwrap(), None);
    assert_eq!(store.enrol(new_installation(1, 1), T0).await.unwrap(), EnrolResult::Created);
    assert_eq!(store.holder_of_code([1; 32], T0).await.unwrap(), None);
    assert_eq!(store.enrol(new_installation(2, 1), T0).await.unwrap(), EnrolResult::CodeUnusable);
    let expected = Installation {
        device: device(1),
        holder: holder(1),
        device_key: [1; 33],
        standing: Standing::Good,
        counter: Counter::default(),
        token: 0,
        history_key: Some(holder_keys(1).history),
        key: key(1),
    };
    assert_eq!(store.installation(device(1)).await.unwrap(), Some(expected));
}

pub(crate) async fn sto_011_a_code_is_used_up_without_an_installation<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    add_code(&*store, 1, 1).await;
    add_code(&*store, 2, 1).await;
    for hash in [[1; 32], [1; 32], [3; 32]] {
        store.void_enrolment_code(hash, T0).await.unwrap();
    }
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert_eq!(store.holder_of_code([1; 32], T0).await.unwrap(), None);
    assert_eq!(store.enrol(new_installation(1, 1), T0).await.unwrap(), EnrolResult::CodeUnusable);
    assert_eq!(store.installation(device(1)).await.unwrap(), None);
    assert_eq!(store.enrol(new_installation(2, 2), T0).await.unwrap(), EnrolResult::Created, "another code");
}

pub(crate) async fn sto_011_an_installation_or_key_exists_once<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    add_code(store, 2, 2).await;
    let new = new_installation(2, 2);
    let with = |key: KeyRow| NewInstallation { key, ..new.clone() };
    for taken in [
        NewInstallation { device_key: [1; 33], ..new.clone() },
        with(KeyRow { device: device(1), ..key(2) }),
        with(KeyRow { id: KeyId::from_bytes([1; 16]), ..key(2) }),
        with(KeyRow { public_key: key(1).public_key, ..key(2) }),
    ] {
        assert_eq!(store.enrol(taken, T0).await.unwrap(), EnrolResult::Exists);
    }
    assert_eq!(store.holder_of_code([2; 32], T0).await.unwrap(), Some(holder(2)), "the code is not used up");
    assert_eq!(store.enrol(new, T0).await.unwrap(), EnrolResult::Created);
}

pub(crate) async fn sto_011_a_new_installation_revokes_the_earlier_one<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let id = add_request(store, 1, 1).await;
    add_code(store, 2, 1).await;
    assert_eq!(store.enrol(new_installation(2, 2), T0).await.unwrap(), EnrolResult::Created);
    let old = store.installation(device(1)).await.unwrap().unwrap();
    assert_eq!((old.standing, old.key.wrapped.len()), (Standing::Revoked, 0));
    assert_eq!(store.request(id, T0).await.unwrap().unwrap().state, RequestState::Open);
    let pending = store.pending(device(2), T0, 10).await.unwrap();
    assert_eq!(pending.iter().map(|row| row.id).collect::<Vec<_>>(), [id]);
    assert!(store.pending(device(1), T0, 10).await.unwrap().is_empty());
    // Revoking the old one again does not touch what waits for the new one.
    assert!(store.set_standing(device(1), Standing::Revoked, T0).await.unwrap());
    assert_eq!(store.request(id, T0).await.unwrap().unwrap().state, RequestState::Open);
}

pub(crate) async fn sto_024_revocation_is_final_and_erases<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    assert!(!store.set_standing(device(1), Standing::Revoked, T0).await.unwrap());
    enrol(store, 1).await;
    let id = add_request(store, 1, 1).await;
    let past = add_request(store, 2, 1).await;
    let at = T0.plus(3600);
    let mut late = new_request(3, 1);
    late.expires = at.plus(10);
    store.add_request(late.clone()).await.unwrap();
    assert!(store.set_standing(device(1), Standing::Revoked, at).await.unwrap());
    for standing in [Standing::Good, Standing::Frozen] {
        assert!(!store.set_standing(device(1), standing, at).await.unwrap());
    }
    assert!(store.set_standing(device(1), Standing::Revoked, at).await.unwrap());
    let installation = store.installation(device(1)).await.unwrap().unwrap();
    assert_eq!((installation.standing, installation.key.wrapped.len()), (Standing::Revoked, 0));
    for (id, state) in
        [(id, RequestState::Expired), (past, RequestState::Expired), (late.id, RequestState::KeyEnded)]
    {
        assert_eq!(store.request(id, at).await.unwrap().unwrap().state, state);
    }
}
