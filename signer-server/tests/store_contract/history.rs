//! The holders' histories.

use signer_core::{
    history::{HistoryHead, SealedEntry},
    ids::DeviceId,
    wire::Standing,
};
use signer_server::store::{
    AddedCredentials, Burn, Burned, ClosedBy, EnrolResult, Happened, HistoryPart, NewInstallation, Report,
    Reserve, Reserved, RevocationReason, Sealer, Settle, Settled, Store, Verdict,
};

use crate::{
    credentials::{burn, credential},
    fixture::*,
};

async fn history(store: &dyn Store, device: DeviceId) -> HistoryPart {
    store.history(device, 0, 64).await.unwrap()
}

/// The entries by their bytes, from a chain that holds.
async fn told(store: &dyn Store, device: DeviceId) -> Vec<u8> {
    let part = history(store, device).await;
    let start = HistoryHead::start(device);
    assert_eq!(part.before, start.hash);
    let head = part.entries.iter().fold(start, |head, entry| head.after(&entry.sealed));
    assert_eq!(part.head, head);
    part.entries.iter().map(|entry| entry.sealed.as_bytes()[0]).collect()
}

/// A sealer that writes the device's and the key's first byte beside `n`.
fn sealer(n: u8) -> Sealer {
    Sealer::new(move |device, key| {
        SealedEntry::new([&[n, device.as_bytes()[0], key.0[0]][..], &[0; 300]].concat())
    })
}

pub(crate) async fn sto_080_an_entry_goes_in_with_its_act_and_not_without<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    for n in 1..=2 {
        enrol(&*store, n).await;
    }
    let with = |act: Settle, n| Settle { told: entry(n), ..act };
    // Signed, and refused because the request was closed meanwhile.
    let (id, closed) = (add_request(&*store, 1, 1).await, add_request(&*store, 2, 1).await);
    let lease = granted(&*store, Reserve { request: Some(id), ..reserve(1, T0) }).await;
    recorded(&*store, with(settle(lease, Some(id), signed(), T0), 1)).await;
    let lease = granted(&*store, Reserve { request: Some(closed), ..reserve(2, T0) }).await;
    assert_eq!(lease.counter.wrong, 1, "what a wrong PIN would leave");
    let by = ClosedBy::Device(device(1));
    store.close_request(closed, by, entry(2), T0).await.unwrap();
    store.close_request(closed, by, entry(99), T0).await.unwrap();
    let late = store.settle(with(settle(lease, Some(closed), signed(), T0), 99)).await.unwrap();
    assert_eq!(late, Settled::RequestClosed);
    // Wrong PIN; new shares; a fault of the server.
    let lease = granted(&*store, reserve(3, T0)).await;
    recorded(&*store, with(settle(lease, None, Verdict::WrongPin, T0), 3)).await;
    let lease = granted(&*store, confirm(4, T0)).await;
    let renewed = store.settle(with(settle(lease, None, refreshed(1), T0), 4)).await.unwrap();
    assert_eq!(renewed, Settled::Refreshed);
    let lease = granted(&*store, Reserve { epoch: signer_core::ids::Epoch(1), ..confirm(5, T0) }).await;
    let fault = store.settle(with(settle(lease, None, Verdict::ServerFault, T0), 99)).await.unwrap();
    assert_eq!(fault, Settled::GivenBack);
    // Credentials: all or nothing. A code: its first use.
    let added = store.add_credentials(vec![credential(5, 1)], entry(5), T0).await.unwrap();
    assert_eq!(added, AddedCredentials::Added);
    let again = store.add_credentials(vec![credential(5, 1)], entry(99), T0).await.unwrap();
    assert_eq!(again, AddedCredentials::DayKeyUsed);
    let use_up = |told| Burn { told, ..burn(5, 10, 0) };
    let look = Burn { only_repeat: true, ..use_up(entry(99)) };
    assert_eq!(store.burn(look).await.unwrap(), Burned::Used);
    assert_eq!(store.burn(use_up(entry(6))).await.unwrap(), Burned::Fresh);
    assert_eq!(store.burn(use_up(entry(99))).await.unwrap(), Burned::Same(vec![1, 2, 3]));
    store.append_history(device(1), entry(7).unwrap(), T0).await.unwrap();
    // Suspended, and back; only what changes.
    for (suspended, n) in [(true, 8), (true, 99), (false, 9), (false, 99)] {
        assert!(store.suspend(device(1), suspended, entry(n), T0).await.unwrap());
    }
    // Revoked, once. A late finding of cheating still ends a key, and is told.
    let why = RevocationReason::PrivilegeWithdrawn;
    assert!(store.revoke(device(1), why, entry(10), T0).await.unwrap());
    assert!(store.revoke(device(1), why, entry(99), T0).await.unwrap());
    assert!(!store.suspend(device(1), true, entry(99), T0).await.unwrap());
    assert!(!store.revoke(device(9), why, entry(99), T0).await.unwrap());
    let slow = granted(&*store, Reserve { device: device(2), ..reserve(6, T0) }).await;
    let other = granted(&*store, Reserve { device: device(2), ..reserve(7, T0.plus(LEASE)) }).await;
    let found = store.settle(with(settle(slow, None, Verdict::Cheating, T0), 11)).await.unwrap();
    assert_eq!(found, Settled::LeaseLost);
    let late = store.settle(with(settle(other, None, Verdict::PinProven, T0), 99)).await.unwrap();
    assert_eq!(late, Settled::LeaseLost);
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert_eq!(told(store, device(1)).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(told(store, device(2)).await, [11]);
}

pub(crate) async fn sto_081_entries_are_chained_and_read_in_parts<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    assert!(store.append_history(device(9), entry(1).unwrap(), T0).await.is_err(), "no such installation");
    let empty = history(store, device(1)).await;
    assert_eq!((empty.entries.len(), empty.head), (0, HistoryHead::start(device(1))));
    for n in 1..=7 {
        store.append_history(device(1), entry(n).unwrap(), T0).await.unwrap();
    }
    let mut head = HistoryHead::start(device(1));
    let newest = history(store, device(1)).await.head;
    for after in 0..=7 {
        let part = store.history(device(1), after, 3).await.unwrap();
        let numbers: Vec<_> = part.entries.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, (after + 1..=7.min(after + 3)).collect::<Vec<_>>());
        assert_eq!((part.before, part.head), (head.hash, newest));
        if let Some(first) = part.entries.first() {
            head = head.after(&first.sealed);
        }
    }
    let past = store.history(device(1), u64::MAX >> 1, 3).await.unwrap();
    assert_eq!((past.entries.len(), past.before, past.head), (0, newest.hash, newest));
}

pub(crate) async fn sto_082_what_the_store_decides_is_told_too<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    // A retired token freezes: seen in the middle of a reservation.
    for n in 1..=2 {
        let lease = granted(store, Reserve { token: Some(u64::from(n) - 1), ..reserve(n, T0) }).await;
        recorded(store, settle(lease, None, Verdict::PinProven, T0)).await;
    }
    let later = T0.plus(100);
    let copy = Reserve { token: Some(0), frozen: sealer(1), ..reserve(3, later) };
    assert_eq!(store.reserve(copy.clone()).await.unwrap(), Reserved::Frozen);
    assert_eq!(store.reserve(copy).await.unwrap(), Reserved::Frozen, "once");
    // An event of a register about whatever phone the person has now; the same event again says nothing new.
    let event = Report {
        id: [1; 32],
        content: [1; 32],
        about: [1; 32],
        sequence: 1,
        holder: holder(1),
        document: None,
        what: Happened::Changed(7),
        told: sealer(3),
        now: later,
    };
    for _ in 0..2 {
        store.report(event.clone()).await.unwrap();
    }
    // Another phone of the same holder.
    add_code(store, 2, 1).await;
    let new = NewInstallation { superseded: sealer(2), ..new_installation(2, 2) };
    assert_eq!(store.enrol(new, later).await.unwrap(), EnrolResult::Created);
    assert_eq!(told(store, device(1)).await, [1, 3, 2]);
    assert!(told(store, device(2)).await.is_empty());
    for entry in history(store, device(1)).await.entries {
        assert_eq!(entry.sealed.as_bytes()[1..3], [1, 1], "for the phone it concerns");
    }
}

pub(crate) async fn sto_083_a_lost_code_finds_its_installation<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    for n in 1..=2 {
        enrol(store, n).await;
        assert_eq!(store.by_lost_code(holder_keys(n).lost_code).await.unwrap(), Some(device(n)));
    }
    assert_eq!(store.by_lost_code([7; 32]).await.unwrap(), None);
    store.set_standing(device(1), Standing::Revoked, T0).await.unwrap();
    assert_eq!(store.by_lost_code(holder_keys(1).lost_code).await.unwrap(), Some(device(1)));
    // Nobody takes another's code.
    add_code(store, 3, 3).await;
    let taken = NewInstallation { holder_keys: holder_keys(2), ..new_installation(3, 3) };
    assert_eq!(store.enrol(taken, T0).await.unwrap(), EnrolResult::Exists);
}
