//! Webhooks: events, deliveries, addresses.

use signer_core::{
    ids::{DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
    trust::Life,
    wire::{DeliveryState, RequestStatus},
};
use signer_server::store::{ClosedBy, CodeChoiceResult, DueDelivery, NewRequest, Store, Tried};

use crate::{fixture::*, requests::drawn};

const SHOP: RelyingPartyId = RelyingPartyId::from_bytes([0x50; 16]);
const DAY: u64 = 86_400;

async fn put(store: &dyn Store, party: RelyingPartyId, urls: &[&str]) {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    assert!(store.put_webhooks(party, urls, T0).await.unwrap());
}

async fn cancel(store: &dyn Store, party: RelyingPartyId, n: u8, at: UnixSeconds) {
    let new = NewRequest { relying_party: party, ..new_request(n, n) };
    store.add_request(new).await.unwrap();
    store.close_request(id(n), ClosedBy::RelyingParty(party), None, at).await.unwrap();
}

const fn id(n: u8) -> RequestId {
    RequestId::from_bytes([n; 16])
}

async fn due(store: &dyn Store, at: UnixSeconds) -> Vec<DueDelivery> {
    store.due_deliveries(at, 2, 100).await.unwrap()
}

fn tried(due: &DueDelivery, state: DeliveryState, next: Option<UnixSeconds>) -> Tried {
    Tried { event: due.event.id, webhook: due.webhook, attempts: due.attempts, state, next }
}

pub(crate) async fn sto_120_an_event_is_written_with_the_end_of_its_request<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    add_party(&*store, SHOP).await;
    // Before there is an address: nothing.
    cancel(&*store, BANK, 1, T0).await;
    put(&*store, BANK, &["a", "b"]).await;
    put(&*store, SHOP, &["a"]).await;
    cancel(&*store, BANK, 2, T0).await;
    cancel(&*store, SHOP, 3, T0).await;
    let all = async |store: &dyn Store| {
        let events = store.webhook_events(BANK, 0, 100).await.unwrap();
        events
            .iter()
            .map(|(event, deliveries)| (event.id, event.sequence, event.status, event.at, deliveries.len()))
            .collect::<Vec<_>>()
    };
    let cancelled = (id(2), 1, RequestStatus::Cancelled, T0, 2);
    assert_eq!(all(&*store).await, [cancelled]);
    // By running out, too. An end that is none writes nothing.
    add_request(&*store, 4, 4).await;
    let expires = new_request(4, 4).expires;
    store.close_request(id(2), ClosedBy::RelyingParty(BANK), None, T0).await.unwrap();
    store.close_request(id(4), ClosedBy::Device(DeviceId::from_bytes([9; 16])), None, T0).await.unwrap();
    store.expire(expires, Life::Standard).await.unwrap();
    let expired = (id(4), 2, RequestStatus::Expired, expires, 2);
    assert_eq!(all(&*store).await, [cancelled, expired]);
    drop(store);
    engine.reopen().await;
    let store = engine.store();
    assert_eq!(all(&*store).await, [cancelled, expired]);
    assert_eq!(due(&*store, T0).await.len(), 3);
    // A wrong verification code is told as what it is, though the request is declined.
    enrol(&*store, 9).await;
    for n in [7, 8] {
        store.add_request(NewRequest { codes: Some(drawn()), ..new_request(n, 9) }).await.unwrap();
    }
    let wrong = drawn().codes[0];
    assert_eq!(
        store.choose_code(id(7), device(9), wrong, entry(7), T0).await.unwrap(),
        CodeChoiceResult::Wrong
    );
    store.close_request(id(8), ClosedBy::Device(device(9)), None, T0).await.unwrap();
    let told: Vec<_> =
        all(&*store).await.into_iter().skip(2).map(|(event, _, status, ..)| (event, status)).collect();
    assert_eq!(told, [(id(7), RequestStatus::WrongCode), (id(8), RequestStatus::Declined)]);
    // Each has a place of its own after those that were forgotten.
    store.expire(expires.plus(7 * DAY), Life::Standard).await.unwrap();
    assert_eq!((all(&*store).await, due(&*store, expires.plus(7 * DAY)).await), (vec![], vec![]));
    cancel(&*store, BANK, 5, T0).await;
    assert_eq!(all(&*store).await, [(id(5), 5, RequestStatus::Cancelled, T0, 2)]);
    // The end of a relying party is its own only.
    cancel(&*store, SHOP, 6, T0).await;
    assert!(store.revoke_relying_party(BANK, T0).await.unwrap());
    assert_eq!((all(&*store).await, due(&*store, T0).await.len()), (vec![], 1));
}

pub(crate) async fn sto_121_few_deliveries_of_an_address_are_due_at_once<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    put(store, BANK, &["a", "b"]).await;
    for n in 1..=3 {
        cancel(store, BANK, n, T0.plus(n.into())).await;
    }
    assert_eq!(due(store, T0).await, []);
    let found = due(store, T0.plus(9)).await;
    let mut seen: Vec<_> = found.iter().map(|due| (due.event.id, due.url.as_str())).collect();
    seen.sort();
    assert_eq!(seen, [(id(1), "a"), (id(1), "b"), (id(2), "a"), (id(2), "b")]);
    assert_eq!((found[0].event.id, found[0].until), (id(1), T0.plus(1 + DAY)));
    assert_eq!(store.due_deliveries(T0.plus(9), 2, 3).await.unwrap().len(), 3);
    // One is delivered, one put off, one given up: of its address the next are due.
    let of = |event: RequestId, url: &str| {
        found.iter().find(|due| due.event.id == event && due.url == url).unwrap()
    };
    let settle = async |due: &DueDelivery, state, next| {
        store.settle_delivery(tried(due, state, next), T0.plus(9)).await.unwrap();
    };
    settle(of(id(1), "a"), DeliveryState::Delivered, None).await;
    settle(of(id(2), "a"), DeliveryState::Waiting, Some(T0.plus(60))).await;
    settle(of(id(1), "b"), DeliveryState::Failed, None).await;
    let left: Vec<_> = due(store, T0.plus(9)).await.into_iter().map(|due| (due.event.id, due.url)).collect();
    assert_eq!(left, [(id(2), "b".into()), (id(3), "a".into()), (id(3), "b".into())]);
    let later = due(store, T0.plus(60)).await;
    let again = later.iter().find(|due| due.event.id == id(2) && due.url == "a").unwrap();
    assert_eq!(again.attempts, 1);
    // What was not known to have been tried since changes nothing.
    settle(of(id(2), "a"), DeliveryState::Delivered, None).await;
    assert!(due(store, T0.plus(60)).await.contains(again));
    // Anew: to every address, from the start.
    let until = T0.plus(9 * DAY);
    assert_eq!(store.replay(SHOP, id(1), until, T0.plus(9)).await.unwrap(), None);
    assert_eq!(store.replay(BANK, id(1), until, T0).await.unwrap(), Some(2));
    let anew = due(store, T0).await;
    assert!(
        anew.len() == 2
            && anew.iter().all(|due| (due.event.id, due.attempts, due.until) == (id(1), 0, until))
    );
    // An address that goes takes its deliveries along; one that stays keeps them.
    put(store, BANK, &["c", "b"]).await;
    assert_eq!(store.webhooks(BANK).await.unwrap().unwrap(), ["b", "c"]);
    assert_eq!(due(store, T0.plus(99)).await.iter().filter(|due| due.url != "b").count(), 0);
    assert_eq!(store.webhooks(SHOP).await.unwrap(), None);
}
