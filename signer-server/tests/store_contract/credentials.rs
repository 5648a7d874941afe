//! Day credentials and burnt codes.

use signer_core::{ids::RelyingPartyId, wire::Standing};
use signer_server::store::{AddedCredentials, Burn, Burned, CodeHash, CredentialRow, LIVING_CREDENTIALS_MAX};

use crate::fixture::*;

pub(crate) fn credential(index: u32, n: u8) -> CredentialRow {
    CredentialRow {
        hash: Some([n; 32]),
        list: 1,
        index,
        device: device(n),
        document_type: 7,
        wrapped_otp: vec![9; 48],
        day_key: day_key(index),
        expires: T0.plus(26 * 3600),
    }
}

fn day_key(n: u32) -> [u8; 33] {
    let mut key = [2; 33];
    key[..4].copy_from_slice(&n.to_be_bytes());
    key
}

pub(crate) fn burn(index: u32, step: u64, n: u8) -> Burn {
    Burn {
        list: 1,
        index,
        step,
        n,
        verifier: BANK,
        request: [1; 32],
        code: CodeHash([3; 32]),
        answer: vec![1, 2, 3],
        only_repeat: false,
        check: None,
        told: None,
        forget: T0.plus(600),
        now: T0,
    }
}

pub(crate) async fn sto_015_a_batch_is_added_whole_or_not_at_all<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let batch = |indexes: &[u32]| {
        let keyed = |(n, index): (u32, &u32)| CredentialRow {
            day_key: day_key(indexes[0] * 100 + n),
            ..credential(*index, 1)
        };
        (0..).zip(indexes).map(keyed).collect::<Vec<_>>()
    };
    let add = async |rows| store.add_credentials(rows, None, T0).await.unwrap();
    assert_eq!(add(batch(&[1, 2, u32::MAX])).await, AddedCredentials::Added);
    assert_eq!(add(batch(&[3, 2, 4])).await, AddedCredentials::Taken(vec![1]));
    assert_eq!(add(batch(&[5, 6, 5])).await, AddedCredentials::Taken(vec![2]), "twice in one batch");
    let again = CredentialRow { index: 8, ..batch(&[1])[0].clone() };
    assert_eq!(add(vec![again]).await, AddedCredentials::DayKeyUsed);
    for index in [3, 4, 5, 6] {
        assert_eq!(store.credential(1, index).await.unwrap(), None);
    }
    let last = batch(&[1, 2, u32::MAX])[2].clone();
    assert_eq!(store.credential(1, u32::MAX).await.unwrap(), Some(last));
    assert_eq!(store.credential(2, 1).await.unwrap(), None);
    assert!(store.add_credentials(vec![credential(7, 9)], None, T0).await.is_err(), "no such installation");
}

pub(crate) async fn sto_015_one_phone_cannot_fill_the_lists<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let rows = (0..LIVING_CREDENTIALS_MAX).map(|index| credential(index, 1)).collect();
    assert_eq!(store.add_credentials(rows, None, T0).await.unwrap(), AddedCredentials::Added);
    let more = || vec![credential(LIVING_CREDENTIALS_MAX, 1)];
    assert_eq!(store.add_credentials(more(), None, T0).await.unwrap(), AddedCredentials::TooMany);
    let after = T0.plus(26 * 3600);
    assert_eq!(store.add_credentials(more(), None, after).await.unwrap(), AddedCredentials::Added);
}

pub(crate) async fn sto_016_looking_for_a_repeat_uses_nothing_up<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    let look = Burn { only_repeat: true, ..burn(5, 10, 0) };
    assert_eq!(store.burn(look.clone()).await.unwrap(), Burned::Used);
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Fresh);
    assert_eq!(store.burn(look).await.unwrap(), Burned::Same(vec![1, 2, 3]));
}

pub(crate) async fn sto_016_a_code_is_used_once<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    store.add_credentials(vec![credential(5, 1), credential(6, 1)], None, T0).await.unwrap();
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Fresh);
    drop(store);
    engine.reopen().await;
    let store = engine.store();
    let other = Burn { verifier: RelyingPartyId::from_bytes([5; 16]), ..burn(5, 10, 0) };
    assert_eq!(store.burn(other).await.unwrap(), Burned::Used);
    assert_eq!(store.burn(burn(6, 10, 0)).await.unwrap(), Burned::Fresh, "another credential");
    assert_eq!(store.highest_burn(1, 5, 10).await.unwrap(), Some(0));
    assert_eq!(store.highest_burn(1, 5, 11).await.unwrap(), None);
}

pub(crate) async fn sto_017_a_higher_code_supersedes_lower_ones<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    for (step, n, expected) in [
        (10, 2, Burned::Fresh),
        (10, 1, Burned::Superseded),
        (9, 15, Burned::Superseded),
        (10, 3, Burned::Fresh),
        (11, 0, Burned::Fresh),
        (10, 4, Burned::Superseded),
    ] {
        assert_eq!(store.burn(burn(5, step, n)).await.unwrap(), expected, "{step}, {n}");
    }
    assert_eq!(store.highest_burn(1, 5, 10).await.unwrap(), Some(3));
    assert_eq!(store.highest_burn(1, 5, 11).await.unwrap(), Some(0));
    // The answer that was given stays the answer to that question.
    assert_eq!(store.burn(burn(5, 10, 2)).await.unwrap(), Burned::Same(vec![1, 2, 3]));
}

pub(crate) async fn sto_017_the_same_verifier_gets_the_same_answer_for_a_minute<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Fresh);
    let again = |seconds| Burn { now: T0.plus(seconds), answer: vec![9], ..burn(5, 10, 0) };
    assert_eq!(store.burn(again(60)).await.unwrap(), Burned::Same(vec![1, 2, 3]));
    assert_eq!(store.burn(again(61)).await.unwrap(), Burned::Used);
    assert_eq!(store.burn(Burn { request: [2; 32], ..again(0) }).await.unwrap(), Burned::Used);
    let stranger = RelyingPartyId::from_bytes([5; 16]);
    assert_eq!(store.burn(Burn { verifier: stranger, ..again(0) }).await.unwrap(), Burned::Used);
}

pub(crate) async fn sto_017_codes_of_a_frozen_installation_are_withdrawn<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    assert_eq!(store.burn(burn(6, 10, 0)).await.unwrap(), Burned::Withdrawn);
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Fresh);
    store.set_standing(device(1), Standing::Suspended, T0).await.unwrap();
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Suspended);
    for standing in [Standing::Frozen, Standing::Revoked] {
        store.set_standing(device(1), standing, T0).await.unwrap();
        for n in [0, 1] {
            assert_eq!(store.burn(burn(5, 10, n)).await.unwrap(), Burned::Withdrawn);
        }
    }
}
