//! Relying parties, server keys, clean-up, time and closing.

use signer_core::{ids::RelyingPartyId, time::UnixSeconds};
use signer_server::store::{
    AddedCredentials, CredentialRow, RelyingPartyRow, ServerKeyRow, StoreError, Verdict,
};

use signer_core::trust::Life;

use crate::{
    credentials::{burn, credential},
    fixture::*,
};

pub(crate) async fn sto_018_what_has_run_out_is_dropped<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    add_code(store, 2, 2).await;
    add_request(store, 1, 1).await;
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    store.burn(burn(5, 10, 0)).await.unwrap();
    let lease = granted(store, reserve(1, T0)).await;
    recorded(store, settle(lease, None, Verdict::WrongPin, T0)).await;

    assert_eq!(store.expire(T0, Life::Standard).await.unwrap(), 1, "the used code");
    assert_eq!(store.holder_of_code([2; 32], T0).await.unwrap(), Some(holder(2)));
    assert_eq!(
        store.expire(T0.plus(600), Life::Standard).await.unwrap(),
        2,
        "the burnt code, and which code the request id stood for"
    );
    assert_eq!(store.highest_burn(1, 5, 10).await.unwrap(), None);
    assert_eq!(
        store.expire(T0.plus(3600), Life::Standard).await.unwrap(),
        2,
        "the request and the unused code"
    );
    assert_eq!(store.expire(T0.plus(24 * 3600 - 1), Life::Standard).await.unwrap(), 0);
    assert_eq!(store.expire(T0.plus(24 * 3600), Life::Standard).await.unwrap(), 1, "the outcome");
    assert_eq!(store.expire(T0.plus(50 * 3600 - 1), Life::Standard).await.unwrap(), 0);
    assert_eq!(
        store.expire(T0.plus(50 * 3600), Life::Standard).await.unwrap(),
        1,
        "the credential, a day after its end"
    );
    assert_eq!(store.credential(1, 5).await.unwrap(), None);
    assert_eq!(counted(store).await, (0, 1), "attempts are never dropped");
}

pub(crate) async fn sto_018_many_rows_are_dropped_in_parts<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    for phone in 1..=5 {
        enrol(store, phone).await;
        let indexes = u32::from(phone) * 500..u32::from(phone) * 500 + 500;
        let batch: Vec<CredentialRow> = indexes.map(|index| credential(index, phone)).collect();
        assert_eq!(store.add_credentials(batch, None, T0).await.unwrap(), AddedCredentials::Added);
    }
    assert_eq!(store.expire(T0.plus(50 * 3600), Life::Standard).await.unwrap(), 2505, "and the used codes");
    assert_eq!(store.credential(1, 2499).await.unwrap(), None);
}

pub(crate) async fn sto_019_a_relying_party_is_found_by_its_token_until_revoked<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let shop = RelyingPartyRow {
        id: RelyingPartyId::from_bytes([1; 16]),
        name: "a shop".to_owned(),
        token_hash: [1; 32],
        may_ask: false,
        may_verify: true,
        report_kinds: Vec::new(),
        may_report_deceased: false,
        generates_for: None,
        limits: signer_server::store::OwnLimits::default(),
        revoked: false,
    };
    store.add_relying_party(shop.clone(), T0).await.unwrap();
    let same_token = RelyingPartyRow { id: RelyingPartyId::from_bytes([2; 16]), ..shop.clone() };
    assert!(store.add_relying_party(same_token, T0).await.is_err());
    assert_eq!(store.relying_party_by_token([1; 32]).await.unwrap(), Some(shop.clone()));
    assert_eq!(store.relying_party_by_token([9; 32]).await.unwrap(), None);
    assert!(store.revoke_relying_party(shop.id, T0).await.unwrap());
    assert!(!store.revoke_relying_party(RelyingPartyId::from_bytes([9; 16]), T0).await.unwrap());
    assert_eq!(store.relying_party_by_token([1; 32]).await.unwrap(), None);
    let all = store.relying_parties().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0], RelyingPartyRow { revoked: true, ..shop });
    assert_eq!(all[1].id, BANK);
}

pub(crate) async fn sto_020_the_first_key_of_a_purpose_stays<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let key = |purpose: &str, n| ServerKeyRow {
        purpose: purpose.to_owned(),
        public_key: vec![n; 33],
        wrapped: vec![n; 60],
        created: T0,
    };
    assert_eq!(store.server_key(key("issuer", 1), T0).await.unwrap(), key("issuer", 1));
    assert_eq!(store.server_key(key("issuer", 2), T0).await.unwrap(), key("issuer", 1));
    assert_eq!(store.server_key(key("answer", 2), T0).await.unwrap(), key("answer", 2));
}

pub(crate) async fn sto_021_the_latest_time_never_goes_back<E: Engine>() {
    let mut engine: E = E::fresh().await;
    assert_eq!(engine.store().latest_time(), UnixSeconds(0));
    for (now, latest) in [(T0, T0), (T0.plus(100), T0.plus(100)), (T0.plus(50), T0.plus(100))] {
        let store = engine.store();
        let id = RelyingPartyId::from_bytes([u8::try_from(now.0 - T0.0).unwrap(); 16]);
        let row = RelyingPartyRow {
            id,
            name: "x".to_owned(),
            token_hash: [id.as_bytes()[0]; 32],
            may_ask: true,
            may_verify: false,
            report_kinds: Vec::new(),
            may_report_deceased: false,
            generates_for: None,
            limits: signer_server::store::OwnLimits::default(),
            revoked: false,
        };
        store.add_relying_party(row, now).await.unwrap();
        assert_eq!(store.latest_time(), latest);
        drop(store);
        engine.reopen().await;
        assert_eq!(engine.store().latest_time(), latest);
    }
}

pub(crate) async fn sto_023_a_closed_store_says_so<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    store.check().await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(store.check().await, Err(StoreError::Stopped(_))));
    assert!(matches!(store.installation(device(1)).await, Err(StoreError::Stopped(_))));
    assert!(matches!(store.reserve(reserve(1, T0)).await, Err(StoreError::Stopped(_))));
    drop(store);
    engine.reopen().await;
    granted(&*engine.store(), reserve(1, T0)).await;
}
