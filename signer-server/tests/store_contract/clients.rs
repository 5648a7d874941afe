//! OAuth clients, and authorisations of the CSC API.

use signer_core::{
    ids::{DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
    trust::Life,
};
use signer_server::store::{
    AuthorisationRow, ClientProof, LIVING_TOKENS_MAX, SadUse, SadUsed, Store, TokenAct, TokenChange,
    TokenChanged, UsedAssertion,
};

use crate::fixture::*;

const SHOP: RelyingPartyId = RelyingPartyId::from_bytes([0x50; 16]);
const PROOF: ClientProof = ClientProof::Key([2; 33]);

fn change(token: u8, jti: u8, act: TokenAct, now: UnixSeconds) -> TokenChange {
    let assertion = Some(UsedAssertion { hash: [jti; 32], expires: T0.plus(60) });
    TokenChange { relying_party: BANK, proof: PROOF, assertion, token: [token; 32], act, now }
}

async fn owner(store: &dyn Store, token: u8, now: UnixSeconds) -> Option<RelyingPartyId> {
    store.relying_party_by_access_token([token; 32], now).await.unwrap().map(|row| row.id)
}

pub(crate) async fn sto_090_a_token_and_its_assertion_go_together<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    let issue = TokenAct::Issue(T0.plus(900));
    assert_eq!(store.change_token(change(1, 1, issue, T0)).await.unwrap(), TokenChanged::ClientChanged);
    assert!(store.put_oauth_client(BANK, PROOF, T0).await.unwrap());
    assert!(!store.put_oauth_client(RelyingPartyId::from_bytes([9; 16]), PROOF, T0).await.unwrap());
    assert_eq!(store.oauth_client(BANK).await.unwrap(), Some(PROOF));
    assert_eq!(store.oauth_client(SHOP).await.unwrap(), None);
    let other = TokenChange { proof: ClientProof::Secret([2; 32]), ..change(1, 1, issue, T0) };
    assert_eq!(store.change_token(other).await.unwrap(), TokenChanged::ClientChanged);
    // Nothing of those used the assertion up.
    assert_eq!(store.change_token(change(1, 1, issue, T0)).await.unwrap(), TokenChanged::Done);
    assert_eq!(store.change_token(change(2, 1, issue, T0)).await.unwrap(), TokenChanged::AssertionUsed);
    assert_eq!(owner(store, 1, T0.plus(899)).await, Some(BANK));
    assert_eq!((owner(store, 1, T0.plus(900)).await, owner(store, 2, T0).await), (None, None));
    // Only its own client revokes it.
    assert!(store.put_oauth_client(SHOP, PROOF, T0).await.unwrap());
    let theirs = TokenChange { relying_party: SHOP, ..change(1, 3, TokenAct::Revoke, T0) };
    assert_eq!(store.change_token(theirs).await.unwrap(), TokenChanged::Done);
    assert_eq!(owner(store, 1, T0).await, Some(BANK));
    assert_eq!(store.change_token(change(1, 4, TokenAct::Revoke, T0)).await.unwrap(), TokenChanged::Done);
    assert_eq!(owner(store, 1, T0).await, None);
    // Another proof, and the end of the relying party, end tokens; so does time, with the assertions.
    assert_eq!(store.change_token(change(5, 5, issue, T0)).await.unwrap(), TokenChanged::Done);
    assert!(store.put_oauth_client(BANK, PROOF, T0).await.unwrap());
    assert_eq!(owner(store, 5, T0).await, None);
    for token in 0..u8::try_from(LIVING_TOKENS_MAX).unwrap() {
        let done = store.change_token(change(token, 100 + token, issue, T0)).await.unwrap();
        assert_eq!(done, TokenChanged::Done);
    }
    assert_eq!(store.change_token(change(99, 99, issue, T0)).await.unwrap(), TokenChanged::TooMany);
    assert_eq!(store.expire(T0.plus(900), Life::Standard).await.unwrap(), 2 * 64 + 4);
    assert!(store.revoke_relying_party(BANK, T0).await.unwrap());
    assert_eq!(store.oauth_client(BANK).await.unwrap(), None);
    assert!(!store.put_oauth_client(BANK, PROOF, T0).await.unwrap());
}

async fn authorised(store: &dyn Store, digests: &[u8]) -> RequestId {
    enrol(store, 1).await;
    let request = add_request(store, 1, 1).await;
    let row = AuthorisationRow {
        request,
        relying_party: BANK,
        token: [1; 32],
        device: device(1),
        digests: digests.iter().map(|digest| [*digest; 32]).collect(),
    };
    store.add_authorisation(row.clone(), T0).await.unwrap();
    let found = store.authorisation(request).await.unwrap().unwrap();
    assert_eq!(found, AuthorisationRow { digests: Vec::new(), ..row });
    request
}

fn fetch(digests: &[u8], call: u8, now: UnixSeconds) -> SadUse {
    SadUse {
        sad: [7; 32],
        token: [1; 32],
        relying_party: BANK,
        device: device(1),
        digests: digests.iter().map(|digest| [*digest; 32]).collect(),
        call: [call; 32],
        now,
    }
}

pub(crate) async fn sto_091_each_authorised_digest_is_fetched_once<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let request = authorised(store, &[1, 2, 2]).await;
    let used = async |sad: SadUse| store.use_sad(sad).await.unwrap();
    assert_eq!(used(fetch(&[1], 1, T0)).await, SadUsed::Unknown, "none was given out");
    let end = T0.plus(300);
    assert_eq!(store.give_sad(request, [6; 32], end, T0).await.unwrap(), Some(end));
    // Given out anew, for the rest of the time.
    assert_eq!(store.give_sad(request, [7; 32], T0.plus(400), T0.plus(9)).await.unwrap(), Some(end));
    assert_eq!(used(SadUse { sad: [6; 32], ..fetch(&[1], 1, T0) }).await, SadUsed::Unknown);
    for other in [
        SadUse { token: [2; 32], ..fetch(&[1], 1, T0) },
        SadUse { relying_party: SHOP, ..fetch(&[1], 1, T0) },
        SadUse { device: DeviceId::from_bytes([2; 16]), ..fetch(&[1], 1, T0) },
    ] {
        assert_eq!(used(other).await, SadUsed::Unknown);
    }
    for digests in [&[3][..], &[1, 1], &[1, 2, 2, 2]] {
        assert_eq!(used(fetch(digests, 1, T0)).await, SadUsed::NotAuthorised);
    }
    let fetched = |places: &[usize]| SadUsed::Fetched(request, places.to_vec());
    assert_eq!(used(fetch(&[2, 1], 1, T0)).await, fetched(&[1, 0]));
    assert_eq!(used(fetch(&[2, 1], 1, T0.plus(59))).await, fetched(&[1, 0]));
    assert_eq!(used(fetch(&[1, 2], 1, T0.plus(59))).await, fetched(&[0, 1]));
    assert_eq!(used(fetch(&[2, 1], 1, T0.plus(60))).await, SadUsed::NotAuthorised);
    assert_eq!(used(fetch(&[1], 2, T0)).await, SadUsed::NotAuthorised);
    assert_eq!(store.give_sad(request, [8; 32], end, T0).await.unwrap(), None, "a signature was fetched");
    assert_eq!(used(fetch(&[2], 3, T0.plus(300))).await, SadUsed::Expired);
    assert_eq!(used(fetch(&[2], 3, T0.plus(299))).await, fetched(&[2]));
    // A call that was answered is answered again, also after the end; then nothing is left.
    assert_eq!(used(fetch(&[2], 3, T0.plus(310))).await, fetched(&[2]));
    assert_eq!(used(fetch(&[2], 4, T0.plus(200))).await, SadUsed::Unknown);
}

pub(crate) async fn sto_091_activation_data_end_and_go_with_their_request<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let request = authorised(store, &[1]).await;
    assert!(store.give_sad(request, [7; 32], T0.plus(300), T0).await.unwrap().is_some());
    assert_eq!(store.give_sad(request, [8; 32], T0.plus(900), T0.plus(300)).await.unwrap(), None);
    // The request ends after an hour and is dropped a week later.
    store.expire(T0.plus(3600), Life::Standard).await.unwrap();
    store.expire(T0.plus(3600 + 7 * 86_400), Life::Standard).await.unwrap();
    assert_eq!(store.authorisation(request).await.unwrap(), None);
    assert_eq!(store.use_sad(fetch(&[1], 1, T0)).await.unwrap(), SadUsed::Unknown);
}
