//! Certificates follow their installation, in the transaction that changes it.

use signer_core::wire::Standing;
use signer_server::store::{
    CertificateRow, EnrolResult, NewInstallation, Reserved, RevocationReason, Revoked, Store, Verdict,
};

use crate::fixture::*;

/// Certificate number `m` of installation `n`.
fn certificate(n: u8, m: u8) -> CertificateRow {
    CertificateRow {
        device: device(n),
        sha256: [n ^ (m << 4); 32],
        wrapped_chain: vec![n, m, 1],
        serial: vec![0x40 + n, m],
        imported: false,
        not_before: T0,
        not_after: T0.plus(1000),
    }
}

/// Enrols installation `n` for holder `n`, with certificate 0.
async fn enrol_certified(store: &dyn Store, n: u8) {
    add_code(store, n, n).await;
    let new = NewInstallation {
        request: Some(vec![n; 9]),
        certificate: Some(certificate(n, 0)),
        ..new_installation(n, n)
    };
    assert_eq!(store.enrol(new, T0).await.unwrap(), EnrolResult::Created);
}

async fn listed(store: &dyn Store) -> Vec<Revoked> {
    store.next_crl(T0).await.unwrap().entries
}

fn entry(n: u8, m: u8, reason: RevocationReason, after: u64) -> Revoked {
    Revoked { serial: certificate(n, m).serial, reason, at: T0.plus(after) }
}

pub(crate) async fn sto_030_a_certificate_comes_with_its_installation<E: Engine>() {
    let mut engine: E = engine().await;
    let store = engine.store();
    assert_eq!(store.authority(vec![1], T0).await.unwrap(), [1]);
    assert_eq!(store.authority(vec![2], T0).await.unwrap(), [1], "the first one stays");
    enrol_certified(&*store, 1).await;
    enrol(&*store, 2).await;
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    assert_eq!(store.certificate(device(1)).await.unwrap(), Some(certificate(1, 0)));
    assert_eq!(store.certificate_request(device(1)).await.unwrap(), Some(vec![1; 9]));
    for n in [2, 3] {
        assert_eq!(store.certificate(device(n)).await.unwrap(), None);
        assert_eq!(store.certificate_request(device(n)).await.unwrap(), None);
    }
    // A code that cannot be used brings no certificate either.
    let late = NewInstallation { certificate: Some(certificate(4, 0)), ..new_installation(4, 1) };
    assert_eq!(store.enrol(late, T0).await.unwrap(), EnrolResult::CodeUnusable);
    assert_eq!(store.certificate(device(4)).await.unwrap(), None);
    assert_eq!(store.living(holder(1)).await.unwrap(), Some(device(1)));
    assert_eq!(store.living(holder(9)).await.unwrap(), None);
}

pub(crate) async fn sto_031_the_last_certificate_added_is_in_use<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    enrol_certified(store, 1).await;
    assert!(!store.add_certificate(certificate(1, 0), T0).await.unwrap(), "there already");
    assert!(store.add_certificate(certificate(1, 1), T0.plus(50)).await.unwrap());
    let imported = CertificateRow { imported: true, ..certificate(1, 2) };
    assert!(store.add_certificate(imported.clone(), T0.plus(90)).await.unwrap());
    assert_eq!(store.certificate(device(1)).await.unwrap(), Some(imported.clone()));
    for (at, expected) in [
        (T0.minus(9), certificate(1, 0)),
        (T0.plus(49), certificate(1, 0)),
        (T0.plus(50), certificate(1, 1)),
        (T0.plus(90), imported),
    ] {
        assert_eq!(store.certificate_at(device(1), at).await.unwrap(), Some(expected), "{at:?}");
    }
    assert!(!store.add_certificate(certificate(9, 0), T0).await.unwrap(), "nobody's");
    store.suspend(device(1), true, None, T0).await.unwrap();
    assert!(!store.add_certificate(certificate(1, 3), T0).await.unwrap(), "suspended");
}

pub(crate) async fn sto_032_a_suspension_is_listed_and_taken_back<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    store.authority(vec![1], T0).await.unwrap();
    enrol_certified(store, 1).await;
    store.add_certificate(CertificateRow { imported: true, ..certificate(1, 1) }, T0).await.unwrap();
    let changes = store.revocation_changes().await.unwrap();
    assert!(store.suspend(device(1), true, None, T0.plus(5)).await.unwrap());
    let standing = async || store.installation(device(1)).await.unwrap().unwrap().standing;
    assert_eq!(standing().await, Standing::Suspended);
    assert_ne!(store.revocation_changes().await.unwrap(), changes);
    assert_eq!(listed(store).await, [entry(1, 0, RevocationReason::Hold, 5)], "ours only");
    assert_eq!(store.reserve(reserve(1, T0.plus(6))).await.unwrap(), Reserved::Suspended);
    assert_eq!(counted(store).await, (0, 0), "nothing is counted");
    assert!(store.suspend(device(1), true, None, T0.plus(7)).await.unwrap(), "again is no change");
    assert_eq!(listed(store).await, [entry(1, 0, RevocationReason::Hold, 5)]);
    assert!(store.suspend(device(1), false, None, T0.plus(8)).await.unwrap());
    assert_eq!(standing().await, Standing::Good);
    assert_eq!(listed(store).await, []);
    granted(store, reserve(1, T0.plus(9))).await;
    assert!(!store.suspend(device(9), true, None, T0).await.unwrap(), "nobody");
    // A suspension does not hide a copy that was seen, and its end does not make one good.
    store.suspend(device(1), true, None, T0.plus(10)).await.unwrap();
    store.set_standing(device(1), Standing::Frozen, T0.plus(11)).await.unwrap();
    assert_eq!(standing().await, Standing::Frozen);
    store.suspend(device(1), false, None, T0.plus(12)).await.unwrap();
    assert_eq!(standing().await, Standing::Frozen);
    assert_eq!(listed(store).await, [entry(1, 0, RevocationReason::Hold, 10)]);
}

pub(crate) async fn sto_033_a_key_that_ends_takes_its_certificates_with_it<E: Engine>() {
    let engine: E = engine().await;
    let store = &*engine.store();
    store.authority(vec![1], T0).await.unwrap();
    for n in 1..=4 {
        enrol_certified(store, n).await;
    }
    // Cheating.
    let lease = granted(store, reserve(1, T0)).await;
    recorded(store, settle(lease, None, Verdict::Cheating, T0.plus(1))).await;
    // An operator, with a reason; suspended before.
    store.suspend(device(2), true, None, T0.plus(2)).await.unwrap();
    assert!(store.revoke(device(2), RevocationReason::PrivilegeWithdrawn, None, T0.plus(9)).await.unwrap());
    assert!(
        store.revoke(device(2), RevocationReason::KeyCompromise, None, T0.plus(9)).await.unwrap(),
        "no change"
    );
    assert!(!store.suspend(device(2), false, None, T0.plus(9)).await.unwrap(), "revoked is for good");
    // The holder enrols again.
    add_code(store, 5, 3).await;
    assert_eq!(store.enrol(new_installation(5, 5), T0.plus(3)).await.unwrap(), EnrolResult::Created);
    // Its certificate had ended before.
    assert!(store.revoke(device(4), RevocationReason::KeyCompromise, None, T0.plus(1001)).await.unwrap());
    let expected = [
        entry(1, 0, RevocationReason::KeyCompromise, 1),
        entry(2, 0, RevocationReason::PrivilegeWithdrawn, 2),
        entry(3, 0, RevocationReason::Superseded, 3),
    ];
    assert_eq!(listed(store).await, expected);
    assert!(!store.revoke(device(9), RevocationReason::Unspecified, None, T0).await.unwrap(), "nobody");
    assert_eq!(listed(store).await, expected, "entries stay");
}

pub(crate) async fn sto_034_lists_are_numbered_upwards<E: Engine>() {
    let mut engine: E = engine().await;
    engine.store().authority(vec![1], T0).await.unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let basis = engine.store().next_crl(T0).await.unwrap();
        assert!(basis.number > last);
        assert_eq!(basis.changes, engine.store().revocation_changes().await.unwrap());
        last = basis.number;
        engine.reopen().await;
    }
}
