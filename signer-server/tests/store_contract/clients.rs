//! OAuth clients, and authorisations of the CSC API.

use signer_core::{
    ids::{DeviceId, RelyingPartyId, RequestId, VisitId},
    time::UnixSeconds,
    trust::Life,
    wire::CscAuth,
};
use signer_server::store::{
    Act, Acted, AddResult, AuthorisationRow, ClientAct, ClientProof, CloseResult, ClosedBy, CodeRefusal,
    CodeUse, LIVING_TOKENS_MAX, NewAuthorisation, NewRequest, Purpose, RegisterClient, RequestState, Reserve,
    SadUse, SadUsed, Store, UsedAssertion, VISIT_KEPT_SECONDS, VisitRow,
};

use crate::fixture::*;

const SHOP: RelyingPartyId = RelyingPartyId::from_bytes([0x50; 16]);
const PROOF: ClientProof = ClientProof::Key([2; 33]);

fn registered(proof: ClientProof) -> RegisterClient {
    RegisterClient { proof, redirect_uris: None, csc_auth: None }
}

fn act(jti: u8, act: Act, now: UnixSeconds) -> ClientAct {
    let assertion = Some(UsedAssertion { hash: [jti; 32], expires: T0.plus(60) });
    ClientAct { relying_party: BANK, proof: PROOF, assertion, act, now }
}

fn issue(token: u8) -> Act {
    Act::Issue([token; 32], T0.plus(900))
}

async fn owner(store: &dyn Store, token: u8, now: UnixSeconds) -> Option<RelyingPartyId> {
    store.access_token([token; 32], now).await.unwrap().map(|row| row.party.id)
}

pub(crate) async fn sto_090_a_token_and_its_assertion_go_together<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    let acted = async |act: ClientAct| store.act(act).await.unwrap();
    let put = async |party| store.put_oauth_client(party, registered(PROOF), T0).await.unwrap().is_some();
    assert_eq!(acted(act(1, issue(1), T0)).await, Acted::ClientChanged);
    assert!(put(BANK).await);
    assert!(!put(RelyingPartyId::from_bytes([9; 16])).await);
    assert_eq!(store.oauth_client(BANK).await.unwrap().unwrap().proof, PROOF);
    assert_eq!(store.oauth_client(SHOP).await.unwrap(), None);
    let other = ClientAct { proof: ClientProof::Secret([2; 32]), ..act(1, issue(1), T0) };
    assert_eq!(acted(other).await, Acted::ClientChanged);
    // Nothing of those used the assertion up.
    assert_eq!(acted(act(1, issue(1), T0)).await, Acted::Done);
    assert_eq!(acted(act(1, issue(2), T0)).await, Acted::AssertionUsed);
    assert_eq!(owner(store, 1, T0.plus(899)).await, Some(BANK));
    assert_eq!((owner(store, 1, T0.plus(900)).await, owner(store, 2, T0).await), (None, None));
    // Only its own client revokes it.
    assert!(put(SHOP).await);
    let theirs = ClientAct { relying_party: SHOP, ..act(3, Act::Revoke([1; 32]), T0) };
    assert_eq!(acted(theirs).await, Acted::Done);
    assert_eq!(owner(store, 1, T0).await, Some(BANK));
    assert_eq!(acted(act(4, Act::Revoke([1; 32]), T0)).await, Acted::Done);
    assert_eq!(owner(store, 1, T0).await, None);
    // Another proof, and the end of the relying party, end tokens; so does time, with the assertions.
    assert_eq!(acted(act(5, issue(5), T0)).await, Acted::Done);
    assert!(put(BANK).await);
    assert_eq!(owner(store, 5, T0).await, None);
    for token in 0..u8::try_from(LIVING_TOKENS_MAX).unwrap() {
        assert_eq!(acted(act(100 + token, issue(token), T0)).await, Acted::Done);
    }
    assert_eq!(acted(act(99, issue(99), T0)).await, Acted::TooMany);
    assert_eq!(store.expire(T0.plus(900), Life::Standard).await.unwrap(), 2 * 64 + 4);
    assert!(store.revoke_relying_party(BANK, T0).await.unwrap());
    assert_eq!(store.oauth_client(BANK).await.unwrap(), None);
    assert!(!put(BANK).await);
}

pub(crate) async fn sto_110_what_is_not_said_of_a_client_stays<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    let put = async |client| store.put_oauth_client(BANK, client, T0).await.unwrap().unwrap();
    let first = put(registered(PROOF)).await;
    assert_eq!((first.redirect_uris, first.csc_auth), (vec![], CscAuth::Implicit));
    let uris: Vec<String> = ["https://a.example/", "https://b.example/?x=1"].map(str::to_owned).into();
    let client = RegisterClient {
        redirect_uris: Some(uris.clone()),
        csc_auth: Some(CscAuth::Oauth2code),
        ..registered(PROOF)
    };
    put(client).await;
    let other = ClientProof::Key([3; 33]);
    let kept = put(registered(other.clone())).await;
    assert_eq!((kept.proof, kept.redirect_uris, kept.csc_auth), (other, uris, CscAuth::Oauth2code));
    let none = put(RegisterClient { redirect_uris: Some(vec![]), ..registered(PROOF) }).await;
    assert_eq!((none.redirect_uris, none.csc_auth), (vec![], CscAuth::Oauth2code));
}

pub(crate) async fn sto_111_pushed_parameters_are_taken_once_by_their_client<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    store.put_oauth_client(BANK, registered(PROOF), T0).await.unwrap();
    let push = |name: u8| act(name, Act::Push([name; 32], format!("p={name}"), T0.plus(90)), T0);
    for name in [1, 2] {
        assert_eq!(store.act(push(name)).await.unwrap(), Acted::Done);
    }
    let take = async |name: u8, party, now| store.take_pushed([name; 32], party, now).await.unwrap();
    assert_eq!(take(1, SHOP, T0).await, None);
    assert_eq!(take(1, BANK, T0.plus(89)).await.as_deref(), Some("p=1"));
    assert_eq!(take(1, BANK, T0.plus(89)).await, None);
    assert_eq!(take(2, BANK, T0.plus(90)).await, None);
    // What is left goes with the client's registration, or by time.
    assert_eq!(store.act(push(3)).await.unwrap(), Acted::Done);
    store.put_oauth_client(BANK, registered(PROOF), T0).await.unwrap();
    assert_eq!(take(3, BANK, T0).await, None);
}

pub(crate) fn visit(id: u8) -> VisitRow {
    VisitRow {
        id: VisitId::from_bytes([id; 16]),
        browser: [id; 32],
        relying_party: BANK,
        redirect_uri: "https://a.example/".into(),
        state: Some("s".into()),
        challenge: [5; 32],
        asked: "{}".into(),
        expires: T0.plus(900),
        request: None,
        cancelled: false,
    }
}

fn redeem(token: u8, code: CodeUse, now: UnixSeconds) -> ClientAct {
    act(token, Act::Redeem([token; 32], code), now)
}

pub(crate) async fn sto_112_a_code_is_exchanged_once_by_whom_it_was_given_for<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    for party in [BANK, SHOP] {
        store.put_oauth_client(party, registered(PROOF), T0).await.unwrap();
    }
    enrol(store, 1).await;
    let id = visit(1).id;
    assert!(store.add_visit(visit(1), T0).await.unwrap());
    assert_eq!(store.visit(id, T0).await.unwrap(), Some(visit(1)));
    assert_eq!(store.visit(id, T0.plus(900)).await.unwrap(), None);
    let new = NewRequest { authorisation: Some(authorises(&[1], None)), ..visits(1, 1) };
    let request = new.id;
    assert_eq!(store.add_request(new).await.unwrap(), AddResult::Added);
    // Given out anew, the earlier one is nothing.
    let end = T0.plus(60);
    assert!(store.give_code(id, [6; 32], end, T0).await.unwrap());
    assert!(store.give_code(id, [7; 32], end, T0).await.unwrap());
    assert_eq!(store.cancel_visit(id, T0).await.unwrap(), None, "it has a code");
    assert!(!store.visit(id, T0).await.unwrap().unwrap().cancelled);
    let good = CodeUse {
        code: [7; 32],
        redirect_uri: visit(1).redirect_uri,
        challenge: [5; 32],
        expires: T0.plus(300),
        device: device(1),
        credential: Some(request),
    };
    let acted = async |act: ClientAct| store.act(act).await.unwrap();
    let refused = |why| Acted::CodeRefused(why);
    let old = CodeUse { code: [6; 32], ..good.clone() };
    assert_eq!(acted(redeem(1, old, T0)).await, refused(CodeRefusal::Unknown));
    let theirs = ClientAct { relying_party: SHOP, ..redeem(1, good.clone(), T0) };
    assert_eq!(acted(theirs).await, refused(CodeRefusal::Unknown));
    let wrong = CodeUse { redirect_uri: "https://a.example".into(), ..good.clone() };
    assert_eq!(acted(redeem(1, wrong, T0)).await, refused(CodeRefusal::RedirectUri));
    let wrong = CodeUse { challenge: [4; 32], ..good.clone() };
    assert_eq!(acted(redeem(1, wrong, T0)).await, refused(CodeRefusal::Verifier));
    assert_eq!(acted(redeem(1, good.clone(), end)).await, refused(CodeRefusal::Expired));
    // None of that used code or assertion up.
    assert_eq!(acted(redeem(1, good.clone(), T0)).await, Acted::Done);
    let token = store.access_token([1; 32], T0.plus(299)).await.unwrap().unwrap();
    assert_eq!((token.party.id, token.device, token.credential), (BANK, Some(device(1)), true));
    assert!(!store.give_code(id, [8; 32], end, T0).await.unwrap(), "it was exchanged");
    // The token is what fetches the signatures.
    let used = SadUse { token: [1; 32], sad: [1; 32], ..fetch(&[1], 1, T0) };
    assert_eq!(store.use_sad(used).await.unwrap(), SadUsed::Fetched(request, vec![0]));
    // A second time ends what the first gave, whatever else comes with it, and also late.
    let again = CodeUse { challenge: [4; 32], ..good };
    assert_eq!(acted(redeem(2, again, T0.plus(200))).await, refused(CodeRefusal::Used));
    assert_eq!(store.access_token([1; 32], T0).await.unwrap(), None);
    assert_eq!(store.visit_by_code([7; 32]).await.unwrap().map(|visit| visit.id), Some(id));
    store.expire(T0.plus(900 + VISIT_KEPT_SECONDS), Life::Standard).await.unwrap();
    assert_eq!(store.visit_by_code([7; 32]).await.unwrap(), None);
}

pub(crate) async fn sto_113_a_cancelled_visit_leads_nowhere<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    store.put_oauth_client(BANK, registered(PROOF), T0).await.unwrap();
    enrol(store, 1).await;
    for id in [1, 2] {
        assert!(store.add_visit(visit(id), T0).await.unwrap());
    }
    let (first, second) = (visit(1).id, visit(2).id);
    assert_eq!(store.cancel_visit(first, T0).await.unwrap(), None, "nobody was asked");
    assert_eq!(store.add_request(visits(1, 1)).await.unwrap(), AddResult::VisitOver);
    assert!(!store.give_code(first, [6; 32], T0.plus(60), T0).await.unwrap());
    // What the phone has is taken back with it.
    let asked = visits(2, 2);
    assert_eq!(store.add_request(asked.clone()).await.unwrap(), AddResult::Added);
    assert_eq!(store.cancel_visit(second, T0).await.unwrap(), Some(asked.id));
    let row = store.request(asked.id, T0).await.unwrap().unwrap();
    assert_eq!(row.state, RequestState::Cancelled);
    assert_eq!(store.cancel_visit(second, T0).await.unwrap(), None);
}

/// The request number `n` of visit `id` for holder 1: to sign in.
fn visits(n: u8, id: u8) -> NewRequest {
    NewRequest { visit: Some(visit(id).id), ..new_request(n, 1) }
}

fn authorises(digests: &[u8], call: Option<u8>) -> NewAuthorisation {
    NewAuthorisation {
        token: [1; 32],
        device: device(1),
        digests: digests.iter().map(|digest| [*digest; 32]).collect(),
        asked_by: call.map(|call| [call; 32]),
    }
}

pub(crate) async fn sto_130_a_visit_asks_once_and_a_person_is_asked_to_sign_in_once<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    for party in [BANK, SHOP] {
        store.put_oauth_client(party, registered(PROOF), T0).await.unwrap();
    }
    enrol(store, 1).await;
    for id in 1..=6 {
        assert!(store.add_visit(visit(id), T0).await.unwrap());
    }
    assert!(store.add_visit(VisitRow { relying_party: SHOP, ..visit(7) }, T0).await.unwrap());
    let add = async |request: NewRequest| store.add_request(request).await.unwrap();
    let first = visits(1, 1);
    assert_eq!(add(first.clone()).await, AddResult::Added);
    assert_eq!(store.visit(visit(1).id, T0).await.unwrap().unwrap().request, Some(first.id));
    assert_eq!(store.request(first.id, T0).await.unwrap().unwrap().purpose, Purpose::SignIn);
    assert_eq!(add(visits(2, 1)).await, AddResult::Same(first.id), "a visit asks once");
    assert_eq!(add(visits(3, 2)).await, AddResult::SigningIn(first.expires));
    assert_eq!(store.visit(visit(2).id, T0).await.unwrap().unwrap().request, None, "nothing was changed");
    assert_eq!(add(visits(4, 7)).await, AddResult::VisitOver, "another's");
    let shop = NewRequest { relying_party: SHOP, ..visits(4, 7) };
    assert_eq!(add(shop).await, AddResult::Added, "another relying party");
    assert_eq!(
        add(NewRequest { holder: holder(2), ..visits(5, 3) }).await,
        AddResult::Added,
        "another person"
    );
    // To sign something is no sign-in, by a page or without.
    let signs = NewRequest { authorisation: Some(authorises(&[1], None)), ..visits(6, 4) };
    assert_eq!(add(signs.clone()).await, AddResult::Added);
    assert_eq!(store.request(signs.id, T0).await.unwrap().unwrap().purpose, Purpose::Csc);
    assert_eq!(add(new_request(7, 1)).await, AddResult::Added);
    assert_eq!(store.request(new_request(7, 1).id, T0).await.unwrap().unwrap().purpose, Purpose::Session);
    // The phone declines, and the place is free.
    let declined = store.close_request(first.id, ClosedBy::Device(device(1)), None, T0).await.unwrap();
    assert_eq!(declined, CloseResult::Closed);
    assert_eq!(add(visits(3, 2)).await, AddResult::Added);
    // So it is when the time is up.
    let late = NewRequest { created: T0.plus(899), expires: T0.plus(1000), ..visits(8, 5) };
    assert_eq!(add(late).await, AddResult::SigningIn(T0.plus(3600)));
    store.expire(T0.plus(3600), Life::Standard).await.unwrap();
    let over = NewRequest { created: T0.plus(900), ..visits(9, 6) };
    assert_eq!(add(over).await, AddResult::VisitOver);
}

pub(crate) async fn sto_131_the_same_call_finds_its_question<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let new = |n: u8, call: u8, now: UnixSeconds| NewRequest {
        authorisation: Some(authorises(&[1], Some(call))),
        created: now,
        expires: now.plus(60),
        ..new_request(n, 1)
    };
    let add = async |request: NewRequest| store.add_request(request).await.unwrap();
    let id = |n| RequestId::from_bytes([n; 16]);
    assert_eq!(add(new(1, 1, T0)).await, AddResult::Added);
    let row = store.authorisation(id(1)).await.unwrap().unwrap();
    assert_eq!(row, AuthorisationRow { relying_party: BANK, token: [1; 32], device: device(1) });
    assert_eq!(add(new(2, 1, T0.plus(59))).await, AddResult::Same(id(1)));
    assert_eq!(store.added_before(new(2, 1, T0.plus(59))).await.unwrap(), Some(id(1)));
    assert_eq!(store.added_before(new(2, 2, T0.plus(59))).await.unwrap(), None);
    assert_eq!(store.authorisation(id(2)).await.unwrap(), None);
    assert_eq!(add(new(3, 2, T0)).await, AddResult::Added, "another call");
    assert_eq!(add(new(4, 1, T0.plus(60))).await, AddResult::Added, "its time is up");
    // Declined: the next is a question of its own.
    store.close_request(id(4), ClosedBy::Device(device(1)), None, T0.plus(61)).await.unwrap();
    assert_eq!(add(new(5, 1, T0.plus(61))).await, AddResult::Added);
    // Signed and nothing fetched: an answer that was lost.
    let now = T0.plus(62);
    let lease = granted(store, Reserve { request: Some(id(5)), ..reserve(1, now) }).await;
    recorded(store, settle(lease, Some(id(5)), signed(), now)).await;
    assert_eq!(add(new(6, 1, T0.plus(200))).await, AddResult::Same(id(5)));
    let end = T0.plus(500);
    assert_eq!(store.give_sad(id(5), [7; 32], end, T0.plus(200)).await.unwrap(), Some(end));
    assert_eq!(add(new(6, 1, T0.plus(499))).await, AddResult::Same(id(5)));
    assert_eq!(add(new(6, 1, end)).await, AddResult::Added, "the activation data have ended");
    store.close_request(id(6), ClosedBy::RelyingParty(BANK), None, end).await.unwrap();
    assert!(matches!(store.use_sad(fetch(&[1], 1, T0.plus(300))).await.unwrap(), SadUsed::Fetched(..)));
    assert_eq!(add(new(7, 1, T0.plus(300))).await, AddResult::Added, "the signature was fetched");
}

async fn authorised(store: &dyn Store, digests: &[u8]) -> RequestId {
    enrol(store, 1).await;
    let new = NewRequest { authorisation: Some(authorises(digests, None)), ..new_request(1, 1) };
    let request = new.id;
    assert_eq!(store.add_request(new).await.unwrap(), AddResult::Added);
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
