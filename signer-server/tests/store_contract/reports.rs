//! Events of registers, and the state of credentials.

use signer_core::{
    credential::StatusIndex,
    time::UnixSeconds,
    trust::Life,
    wire::{EventOutcome, Standing},
};
use signer_server::store::{
    Burned, CredentialRow, EnrolResult, Happened, IssuerKeyRow, Report, Reported, Sealer, ServerKeyRow,
    TrustListRow, Withdrawal,
};

use crate::{
    credentials::{burn, credential},
    fixture::*,
};

/// Event `n` about holder 1, in the order `about`.
pub(crate) fn report(n: u8, about: u8, sequence: u64, what: Happened) -> Report {
    Report {
        id: [n; 32],
        content: [n; 32],
        about: [about; 32],
        sequence,
        holder: holder(1),
        document: None,
        what,
        told: Sealer::none(),
        now: T0,
    }
}

const TAKEN: Reported = Reported::Taken { outcome: EventOutcome::Applied, device: None };
const LATE: Reported = Reported::Taken { outcome: EventOutcome::Late, device: None };

fn taken(n: u8) -> Reported {
    Reported::Taken { outcome: EventOutcome::Applied, device: Some(device(n)) }
}

pub(crate) async fn sto_070_an_event_ends_the_credentials_it_is_about<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    enrol(store, 2).await;
    let other = CredentialRow { document_type: 8, ..credential(6, 1) };
    store.add_credentials(vec![credential(5, 1), other], None, T0).await.unwrap();
    store.add_credentials(vec![credential(7, 2)], None, T0).await.unwrap();
    assert_eq!(store.report(report(1, 1, 1, Happened::Changed(7))).await.unwrap(), taken(1));
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Withdrawn);
    assert_eq!(store.burn(burn(6, 10, 0)).await.unwrap(), Burned::Fresh, "another kind");
    assert_eq!(store.burn(burn(7, 10, 0)).await.unwrap(), Burned::Fresh, "another person");
    assert_eq!(store.document_events(device(1)).await.unwrap(), 1);
    assert_eq!(store.document_events(device(2)).await.unwrap(), 0);
    // What is added after the event is from after it.
    store.add_credentials(vec![credential(8, 1)], None, T0).await.unwrap();
    assert_eq!(store.burn(burn(8, 10, 0)).await.unwrap(), Burned::Fresh);
    assert_eq!(store.report(report(2, 2, 1, Happened::Deceased)).await.unwrap(), taken(1));
    assert_eq!(store.burn(burn(6, 11, 0)).await.unwrap(), Burned::Withdrawn);
    assert_eq!(store.installation(device(1)).await.unwrap().unwrap().standing, Standing::Suspended);
    assert_eq!(store.burn(burn(7, 11, 0)).await.unwrap(), Burned::Fresh);
}

pub(crate) async fn sto_071_an_event_is_taken_once_and_in_order<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    enrol(&*store, 1).await;
    let event = report(1, 1, 5, Happened::Changed(7));
    assert_eq!(store.report(event.clone()).await.unwrap(), taken(1));
    assert_eq!(store.report(report(2, 1, 5, Happened::Changed(7))).await.unwrap(), LATE);
    store.add_credentials(vec![credential(5, 1)], None, T0).await.unwrap();
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert_eq!(store.report(event.clone()).await.unwrap(), TAKEN);
    assert_eq!(store.report(report(2, 1, 5, Happened::Changed(7))).await.unwrap(), LATE);
    assert_eq!(store.report(report(3, 1, 4, Happened::Changed(7))).await.unwrap(), LATE);
    assert_eq!(store.report(Report { content: [9; 32], ..event }).await.unwrap(), Reported::Mismatch);
    assert_eq!(store.burn(burn(5, 10, 0)).await.unwrap(), Burned::Fresh, "none of these ended anything");
    assert_eq!(store.report(report(4, 2, 1, Happened::Changed(7))).await.unwrap(), taken(1), "another order");
    assert_eq!(store.report(report(5, 1, 6, Happened::Changed(7))).await.unwrap(), taken(1));
    let nobody = Report { holder: holder(9), ..report(6, 6, 1, Happened::Deceased) };
    assert_eq!(store.report(nobody).await.unwrap(), TAKEN, "a person who is not enrolled");
    // After a month nothing of it is remembered.
    assert!(store.expire(T0.plus(30 * 86_400), Life::Standard).await.unwrap() > 0);
    assert_eq!(store.report(report(2, 1, 5, Happened::Changed(7))).await.unwrap(), taken(1));
}

pub(crate) async fn sto_072_a_list_says_what_is_revoked_and_what_is_suspended<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    for n in 1..=4 {
        enrol(store, n).await;
        let elsewhere = CredentialRow { list: 2, ..credential(50 + u32::from(n), n) };
        let rows = vec![credential(10 * u32::from(n), n), credential(10 * u32::from(n) + 1, n), elsewhere];
        store.add_credentials(rows, None, T0).await.unwrap();
    }
    assert_eq!(store.withdrawals(1).await.unwrap(), []);
    store.set_standing(device(4), Standing::Frozen, T0).await.unwrap();
    store.set_standing(device(3), Standing::Revoked, T0).await.unwrap();
    store.suspend(device(2), true, None, T0).await.unwrap();
    let all = |suspended: &[u32], revoked: &[u32]| {
        let mut all: Vec<_> =
            suspended.iter().map(|index| Withdrawal { index: *index, suspended: true }).collect();
        all.extend(revoked.iter().map(|index| Withdrawal { index: *index, suspended: false }));
        all.sort_by_key(|withdrawal| withdrawal.index);
        all
    };
    assert_eq!(store.withdrawals(1).await.unwrap(), all(&[20, 21], &[30, 31, 40, 41]));
    assert_eq!(store.withdrawals(2).await.unwrap(), all(&[52], &[53, 54]));
    // A credential that was ended stays ended, whatever becomes of the suspension.
    store.report(Report { holder: holder(2), ..report(1, 1, 1, Happened::Changed(7)) }).await.unwrap();
    store.add_credentials(vec![credential(22, 2)], None, T0).await.unwrap();
    assert_eq!(store.withdrawals(1).await.unwrap(), all(&[22], &[20, 21, 30, 31, 40, 41]));
    // A phone is told of its own that ended, and not of its suspension.
    let mut ended = store.withdrawn(device(2)).await.unwrap();
    ended.sort_by_key(|place| (place.list, place.index));
    assert_eq!(ended, [(1, 20), (1, 21), (2, 52)].map(|(list, index)| StatusIndex { list, index }));
    assert!(store.withdrawn(device(3)).await.unwrap().is_empty());
    store.suspend(device(2), false, None, T0).await.unwrap();
    assert_eq!(store.withdrawals(1).await.unwrap(), all(&[], &[20, 21, 30, 31, 40, 41]));
    // Places are kept a day longer than a credential lives, by the life in force.
    for (life, hours) in [(Life::Emergency, 72 + 24), (Life::Standard, 26 + 24)] {
        let end = T0.plus(hours * 3600);
        store.expire(end.minus(1), life).await.unwrap();
        assert_eq!(store.withdrawals(1).await.unwrap().len(), 6);
        if life == Life::Standard {
            store.expire(end, life).await.unwrap();
            assert_eq!(store.withdrawals(1).await.unwrap(), []);
        }
    }
}

pub(crate) async fn sto_074_a_suspension_and_a_death_end_enrolment_codes<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for (code, who) in [(11, 1), (12, 2), (13, 3)] {
        add_code(store, code, who).await;
    }
    let usable = async |code: u8| store.holder_of_code([code; 32], T0).await.unwrap().is_some();
    assert!(store.suspend(device(1), true, None, T0).await.unwrap());
    assert!(!usable(11).await && usable(12).await);
    let again = store.enrol(new_installation(4, 11), T0).await.unwrap();
    assert_eq!(again, EnrolResult::CodeUnusable, "the suspension is not left by enrolling again");
    // Holder 2 is not enrolled, and has died.
    let dead = Report { holder: holder(2), ..report(1, 1, 1, Happened::Deceased) };
    assert_eq!(store.report(dead).await.unwrap(), TAKEN);
    assert!(!usable(12).await && usable(13).await);
    // A code that the operator makes after that is the operator's decision.
    add_code(store, 14, 1).await;
    assert_eq!(store.enrol(new_installation(5, 14), T0).await.unwrap(), EnrolResult::Created);
}

pub(crate) async fn sto_075_places_given_out_since_a_moment_are_known<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol(store, 1).await;
    for (index, at) in [(5, T0), (6, T0.plus(1)), (7, T0.plus(2))] {
        store.add_credentials(vec![credential(index, 1)], None, at).await.unwrap();
    }
    assert_eq!(store.issued_since(1, T0).await.unwrap(), [6, 7]);
    assert_eq!(store.issued_since(1, T0.plus(2)).await.unwrap(), [0_u32; 0]);
    assert_eq!(store.issued_since(2, UnixSeconds(0)).await.unwrap(), [0_u32; 0]);
}

pub(crate) async fn sto_073_keys_follow_one_another_and_trust_lists_only_rise<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    let key = |purpose: &str| ServerKeyRow {
        purpose: purpose.to_owned(),
        public_key: vec![1; 33],
        wrapped: vec![2; 60],
        created: T0,
    };
    for purpose in ["issuer", "issuer.2", "issuer.3", "issuers", "list"] {
        store.server_key(key(purpose), T0).await.unwrap();
    }
    assert!(store.activate_server_key("issuer.2".to_owned(), T0.plus(5)).await.unwrap());
    for purpose in ["issuer.2", "issuer.9"] {
        assert!(!store.activate_server_key(purpose.to_owned(), T0.plus(9)).await.unwrap(), "{purpose}");
    }
    let list =
        |number, pinned| TrustListRow { number, root: [2; 33], pinned: [pinned; 33], bytes: vec![7; 9] };
    assert_eq!(store.trust_list().await.unwrap(), None);
    for (row, taken) in [
        (list(5, 1), true),
        (list(5, 1), false),
        (list(4, 1), false),
        (list(6, 1), true),
        (list(1, 3), true),
        (list(1, 3), false),
    ] {
        assert_eq!(store.put_trust_list(row.clone(), T0).await.unwrap(), taken, "{row:?}");
    }
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert_eq!(store.trust_list().await.unwrap(), Some(list(1, 3)));
    let mut keys = store.server_keys("issuer".to_owned()).await.unwrap();
    keys.sort_by(|one, other| one.key.purpose.cmp(&other.key.purpose));
    let row = |purpose, activated, listed| IssuerKeyRow { key: key(purpose), activated, listed };
    let wanted = |listed| {
        let in_use = Some(T0.plus(5));
        [row("issuer", None, None), row("issuer.2", in_use, None), row("issuer.3", None, listed)]
    };
    assert_eq!(keys, wanted(None));
    // Listed since the first list without a gap.
    for (listed, at, since) in [(true, 6, Some(6)), (true, 7, Some(6)), (false, 8, None), (true, 9, Some(9))]
    {
        store.note_listed("issuer.3".to_owned(), listed, T0.plus(at)).await.unwrap();
        let mut keys = store.server_keys("issuer".to_owned()).await.unwrap();
        keys.sort_by(|one, other| one.key.purpose.cmp(&other.key.purpose));
        assert_eq!(keys, wanted(since.map(|seconds| T0.plus(seconds))));
    }
}
