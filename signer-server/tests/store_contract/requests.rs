//! Signing requests.

use signer_core::{
    ids::{RelyingPartyId, RequestId},
    wire::{DrawnCodes, VerificationCode},
};
use signer_server::store::{
    AddResult, ClientProof, CloseResult, ClosedBy, CodeChoiceResult, Holder, NewLink, NewRequest,
    OPEN_REQUESTS_MAX, OpenLinkResult, OwnLimits, Purpose, RegisterClient, RequestLink, RequestRow,
    RequestState, Reserve, Store,
};

use signer_core::trust::Life;

use crate::{clients::visit, fixture::*};

const SHOP: RelyingPartyId = RelyingPartyId::from_bytes([0x50; 16]);

async fn state(store: &dyn Store, id: RequestId) -> RequestState {
    store.request(id, T0).await.unwrap().unwrap().state
}

pub(crate) async fn sto_013_idempotency_is_per_relying_party<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    let with = |n, key, body| NewRequest { idempotency: Some(([key; 32], [body; 32])), ..new_request(n, 1) };
    let first = with(1, 1, 1);
    assert_eq!(store.add_request(first.clone()).await.unwrap(), AddResult::Added);
    assert_eq!(store.add_request(with(2, 1, 1)).await.unwrap(), AddResult::Same(first.id));
    assert_eq!(store.add_request(with(3, 1, 2)).await.unwrap(), AddResult::Mismatch);
    assert_eq!(store.add_request(with(4, 2, 1)).await.unwrap(), AddResult::Added);
    let other = NewRequest { relying_party: SHOP, ..with(5, 1, 2) };
    assert_eq!(store.add_request(other).await.unwrap(), AddResult::Added);
    for n in [6, 7] {
        assert_eq!(store.add_request(new_request(n, 1)).await.unwrap(), AddResult::Added);
    }
    assert!(store.add_request(new_request(7, 1)).await.is_err(), "an id is used once");
    assert_eq!(store.request(RequestId::from_bytes([3; 16]), T0).await.unwrap(), None);
}

pub(crate) async fn sto_013_one_relying_party_cannot_bury_a_person_in_requests<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    let max = u8::try_from(OPEN_REQUESTS_MAX).unwrap();
    for n in 1..=max {
        assert_eq!(store.add_request(new_request(n, 1)).await.unwrap(), AddResult::Added);
    }
    assert_eq!(store.add_request(new_request(100, 1)).await.unwrap(), AddResult::TooMany);
    assert_eq!(store.add_request(new_request(101, 2)).await.unwrap(), AddResult::Added, "another person");
    let other = NewRequest { relying_party: SHOP, ..new_request(102, 1) };
    assert_eq!(store.add_request(other).await.unwrap(), AddResult::Added, "another relying party");
    let first = RequestId::from_bytes([1; 16]);
    store.close_request(first, ClosedBy::RelyingParty(BANK), None, T0).await.unwrap();
    assert_eq!(store.add_request(new_request(103, 1)).await.unwrap(), AddResult::Added, "one has ended");
}

pub(crate) async fn sto_019_revoking_a_relying_party_cancels_what_it_asked<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    store.add_request(new_request(1, 1)).await.unwrap();
    store.add_request(NewRequest { relying_party: SHOP, ..new_request(2, 1) }).await.unwrap();
    assert!(store.revoke_relying_party(BANK, T0).await.unwrap());
    assert_eq!(state(store, RequestId::from_bytes([1; 16])).await, RequestState::Cancelled);
    assert_eq!(state(store, RequestId::from_bytes([2; 16])).await, RequestState::Open);
}

pub(crate) async fn sto_014_a_request_is_closed_once_by_whom_it_concerns<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    for n in 1..=2 {
        enrol(store, n).await;
    }
    add_party(store, SHOP).await;
    let (bank, shop) = (ClosedBy::RelyingParty(BANK), ClosedBy::RelyingParty(SHOP));
    let (mine, theirs) = (ClosedBy::Device(device(1)), ClosedBy::Device(device(2)));
    let close = async |id, by| store.close_request(id, by, None, T0).await.unwrap();
    let unknown = RequestId::from_bytes([99; 16]);
    assert_eq!(close(unknown, bank).await, CloseResult::NotFound);

    let id = add_request(store, 1, 1).await;
    for stranger in [shop, theirs, ClosedBy::Device(device(9))] {
        assert_eq!(close(id, stranger).await, CloseResult::NotFound);
    }
    assert_eq!(state(store, id).await, RequestState::Open);
    assert_eq!(close(id, bank).await, CloseResult::Closed);
    assert_eq!(close(id, bank).await, CloseResult::Closed, "again by the same act");
    assert_eq!(close(id, mine).await, CloseResult::AlreadyEnded);
    assert_eq!(state(store, id).await, RequestState::Cancelled);

    let id = add_request(store, 2, 1).await;
    assert_eq!(close(id, mine).await, CloseResult::Closed);
    assert_eq!(close(id, bank).await, CloseResult::AlreadyEnded);
    assert_eq!(state(store, id).await, RequestState::Declined);

    let id = add_request(store, 3, 1).await;
    let lease = granted(store, Reserve { request: Some(id), ..reserve(1, T0) }).await;
    recorded(store, settle(lease, Some(id), signed(), T0)).await;
    for by in [bank, mine] {
        assert_eq!(close(id, by).await, CloseResult::AlreadyEnded);
    }
    assert!(matches!(state(store, id).await, RequestState::Signed { .. }));
}

pub(crate) async fn sto_014_a_request_expires_by_time_alone<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    let id = add_request(store, 1, 1).await;
    let end = T0.plus(3600);
    assert_eq!(store.request(id, end.minus(1)).await.unwrap().unwrap().state, RequestState::Open);
    assert_eq!(store.request(id, end).await.unwrap().unwrap().state, RequestState::Expired);
    assert!(store.pending(device(1), end, 10).await.unwrap().is_empty());
    let close = store.close_request(id, ClosedBy::RelyingParty(BANK), None, end).await.unwrap();
    assert_eq!(close, CloseResult::AlreadyEnded);
    assert_eq!(store.expire(end, Life::Standard).await.unwrap(), 2, "the request and the used code");
    assert_eq!(state(store, id).await, RequestState::Expired);
}

pub(crate) async fn sto_014_pending_requests_are_the_holders_oldest_first<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for (n, who, created) in [(1, 1, 30), (2, 1, 10), (3, 2, 5), (4, 1, 20), (5, 1, 40)] {
        let request = NewRequest { created: T0.plus(created), ..new_request(n, who) };
        store.add_request(request).await.unwrap();
    }
    store
        .close_request(RequestId::from_bytes([1; 16]), ClosedBy::RelyingParty(BANK), None, T0)
        .await
        .unwrap();
    let ids = |rows: Vec<RequestRow>| rows.iter().map(|row| row.id.as_bytes()[0]).collect::<Vec<_>>();
    assert_eq!(ids(store.pending(device(1), T0, 10).await.unwrap()), [2, 4, 5]);
    assert_eq!(ids(store.pending(device(1), T0, 2).await.unwrap()), [2, 4]);
    assert!(store.pending(device(7), T0, 10).await.unwrap().is_empty());
    let row = store.pending(device(1), T0, 1).await.unwrap().remove(0);
    let expected = RequestRow {
        id: RequestId::from_bytes([2; 16]),
        relying_party: BANK,
        holder: holder(1),
        object: vec![2; 40],
        expires: T0.plus(3600),
        state: RequestState::Open,
        purpose: Purpose::Session,
        codes: None,
        link: None,
    };
    assert_eq!(row, expected);
}

pub(crate) fn drawn() -> DrawnCodes {
    let codes = [17, 0, 9999].map(|value| VerificationCode::new(value).unwrap());
    DrawnCodes { codes, right: codes[1] }
}

pub(crate) async fn sto_100_the_first_choice_of_a_verification_code_decides<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    enrol(store, 2).await;
    let [low, right, high] = drawn().codes;
    for n in [1, 2, 3, 4] {
        let codes = Some(drawn()).filter(|_| n != 4);
        store.add_request(NewRequest { codes, ..new_request(n, 1) }).await.unwrap();
    }
    let id = |n| RequestId::from_bytes([n; 16]);
    let choose =
        async |n, who, code| store.choose_code(id(n), device(who), code, entry(n), T0).await.unwrap();
    let told = async || store.history(device(1), 0, 10).await.unwrap().entries.len();
    let row = store.request(id(1), T0).await.unwrap().unwrap();
    assert_eq!((row.codes.unwrap().drawn, row.awaits_code()), (drawn(), true));
    // Another holder's device, a code that is none of the three, a request without codes.
    assert_eq!(choose(1, 2, right).await, CodeChoiceResult::NotFound);
    assert_eq!(choose(1, 1, VerificationCode::new(18).unwrap()).await, CodeChoiceResult::NoSuchCode);
    assert_eq!(choose(4, 1, right).await, CodeChoiceResult::NoSuchCode);
    assert_eq!(store.request(id(1), T0).await.unwrap().unwrap(), row);
    for code in [right, high, right] {
        assert_eq!(choose(1, 1, code).await, CodeChoiceResult::Right);
    }
    assert_eq!(state(store, id(1)).await, RequestState::Open);
    assert!(!store.request(id(1), T0).await.unwrap().unwrap().awaits_code());
    assert_eq!(told().await, 0, "a right choice is nothing to be told");
    for code in [low, right, low] {
        assert_eq!(choose(2, 1, code).await, CodeChoiceResult::Wrong);
    }
    assert_eq!(state(store, id(2)).await, RequestState::WrongCode);
    assert_eq!(told().await, 1);
    store.close_request(id(3), ClosedBy::Device(device(1)), None, T0).await.unwrap();
    assert_eq!(choose(3, 1, right).await, CodeChoiceResult::AlreadyEnded);
    assert_eq!(state(store, id(3)).await, RequestState::Declined);
    // All is dropped with the request.
    let later = T0.plus(10 * 86_400);
    while store.expire(later, Life::Standard).await.unwrap() > 0 {}
    assert_eq!(store.request(id(2), later).await.unwrap(), None);
}

pub(crate) async fn sto_101_a_link_is_opened_by_one_device<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    for n in [1, 2] {
        enrol(store, n).await;
    }
    let id = |n| RequestId::from_bytes([n; 16]);
    let link = |n| NewLink { token: [n; 32], wrapped_secret: vec![n; 60] };
    let with_link = |n| NewRequest { link: Some(link(n)), holder: Holder::nobody(), ..new_request(n, 1) };
    // More than for a person: they are nobody's yet.
    for n in 1..=10 {
        assert_eq!(store.add_request(with_link(n)).await.unwrap(), AddResult::Added);
    }
    assert!(store.add_request(NewRequest { link: Some(link(1)), ..with_link(20) }).await.is_err());
    let row = store.request_by_link([3; 32], T0).await.unwrap().unwrap();
    assert_eq!((row.id, &row.holder), (id(3), &Holder::nobody()));
    assert_eq!(row.link, Some(RequestLink { made: link(3), opened_by: None }));
    assert_eq!(store.request_by_link([99; 32], T0).await.unwrap(), None);
    assert!(store.pending(device(1), T0, 32).await.unwrap().is_empty());

    let open = async |n, who| store.open_link(id(n), device(who), T0).await.unwrap();
    for _ in 0..2 {
        assert_eq!(open(3, 1).await, OpenLinkResult::Opened);
        assert_eq!(open(3, 2).await, OpenLinkResult::Used);
    }
    assert_eq!(open(4, 7).await, OpenLinkResult::NotFound, "no such device");
    assert_eq!(open(50, 1).await, OpenLinkResult::NotFound);
    let row = store.request_by_link([3; 32], T0).await.unwrap().unwrap();
    assert_eq!((row.holder, row.link.unwrap().opened_by), (holder(1), Some(device(1))));
    store.close_request(id(4), ClosedBy::RelyingParty(BANK), None, T0).await.unwrap();
    assert_eq!(open(4, 1).await, OpenLinkResult::AlreadyEnded);
    let late = store.open_link(id(5), device(1), T0.plus(3600)).await.unwrap();
    assert_eq!(late, OpenLinkResult::AlreadyEnded);
    let max = u8::try_from(OPEN_REQUESTS_MAX).unwrap();
    for n in 31..30 + max {
        store.add_request(new_request(n, 1)).await.unwrap();
    }
    assert_eq!(open(6, 1).await, OpenLinkResult::TooMany);
    assert_eq!(open(6, 2).await, OpenLinkResult::Opened);
}

pub(crate) async fn sto_102_a_relying_partys_name_for_a_person_is_its_own<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    for (party, who) in [(BANK, 1), (SHOP, 2), (BANK, 1)] {
        store.add_pairwise(party, [7; 16], holder(who), T0).await.unwrap();
    }
    assert_eq!(store.holder_of_pairwise(BANK, [7; 16]).await.unwrap(), Some(holder(1)));
    assert_eq!(store.holder_of_pairwise(SHOP, [7; 16]).await.unwrap(), Some(holder(2)));
    assert_eq!(store.holder_of_pairwise(BANK, [8; 16]).await.unwrap(), None);
}

pub(crate) async fn sto_132_what_a_relying_party_keeps_is_counted_and_bounded<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    let kept = async |party| {
        let all = store.kept_bytes().await.unwrap();
        all.into_iter().find(|(of, _)| *of == party).map_or(0, |(_, bytes)| bytes)
    };
    // 1024 bytes, and three times the object.
    let of = |n: u8, length: usize| NewRequest {
        object: vec![n; length],
        kept_bytes_max: 10_000,
        ..new_request(n, n)
    };
    let add = async |request: NewRequest| store.add_request(request).await.unwrap();
    assert_eq!(kept(BANK).await, 0);
    assert_eq!(add(of(1, 1_000)).await, AddResult::Added);
    assert_eq!(add(of(2, 2_000)).await, AddResult::Added);
    assert_eq!((kept(BANK).await, kept(SHOP).await), (11_048, 0));
    assert_eq!(add(of(3, 1)).await, AddResult::Full(10_000));
    assert_eq!(
        add(NewRequest { idempotency: Some(([1; 32], [1; 32])), ..of(3, 1) }).await,
        AddResult::Full(10_000)
    );
    assert_eq!(add(NewRequest { relying_party: SHOP, ..of(4, 1) }).await, AddResult::Added, "another's");
    assert_eq!(kept(BANK).await, 11_048, "what was refused is not counted");
    // A limit of its own, in either direction, and none again.
    let limit = async |bytes| {
        let limits = OwnLimits { calls_per_second: Some(7), kept_bytes: bytes };
        assert!(store.put_limits(BANK, limits, T0).await.unwrap());
        let rows = store.relying_parties().await.unwrap();
        assert_eq!(rows.into_iter().find(|row| row.id == BANK).unwrap().limits, limits);
    };
    limit(Some(11_049)).await;
    assert_eq!(add(of(5, 1)).await, AddResult::Added);
    limit(Some(12_075)).await;
    assert_eq!(add(of(6, 1)).await, AddResult::Full(12_075));
    limit(None).await;
    assert_eq!(add(of(6, 1)).await, AddResult::Full(10_000));
    assert!(!store.put_limits(RelyingPartyId::from_bytes([9; 16]), OwnLimits::default(), T0).await.unwrap());
    // Sign-ins, which strangers begin, are neither counted nor refused, and are forgotten a day after their end.
    let client = RegisterClient { proof: ClientProof::Key([2; 33]), redirect_uris: None, csc_auth: None };
    store.put_oauth_client(BANK, client, T0).await.unwrap();
    assert!(store.add_visit(visit(1), T0).await.unwrap());
    let sign_in = NewRequest { visit: Some(visit(1).id), ..of(7, 1) };
    assert_eq!(add(sign_in.clone()).await, AddResult::Added);
    // Requests are forgotten a week after their end, and what they took with them.
    let end = T0.plus(3600);
    store.expire(end, Life::Standard).await.unwrap();
    assert_eq!(kept(BANK).await, 12_075);
    store.expire(end.plus(86_399), Life::Standard).await.unwrap();
    assert!(store.request(sign_in.id, end).await.unwrap().is_some());
    store.expire(end.plus(86_400), Life::Standard).await.unwrap();
    assert_eq!(store.request(sign_in.id, end).await.unwrap(), None);
    assert_eq!(kept(BANK).await, 12_075);
    while store.expire(end.plus(7 * 86_400), Life::Standard).await.unwrap() > 0 {}
    assert_eq!((kept(BANK).await, kept(SHOP).await), (0, 0));
    assert_eq!(add(of(6, 1)).await, AddResult::Added);
}
