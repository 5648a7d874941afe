//! Lists and requests under a fixed root, entries and checkpoints of the audit log: no panic. Of bytes as they come, only what was honestly made is believed; of payloads
//! under a right signature, only what encodes again to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signer_core::{
    audit::{AuditEntry, CheckpointKey, CheckpointVerifier},
    credential::{StepRule, verify_request},
    secret::SecretBytes,
    status::StatusList,
    trust::SignedTrustList,
};
use signer_fuzz::{
    qr::NOW,
    trust::{honest, list, payload_of, request_text, root, sealed_list, sealed_status},
};

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let [trust, status, request] = honest();
    let roots = [*root().verifying_key()];
    match kind % 7 {
        0 => assert!(SignedTrustList::verify(rest, &roots).is_err() || rest == trust),
        1 => assert!(StatusList::verify(rest, list()).is_err() || rest == status),
        2 => {
            let read = verify_request(&request_text(rest), list(), NOW, StepRule::STANDARD);
            assert!(read.is_err() || rest == request);
        }
        3 => {
            if let Ok(believed) = SignedTrustList::verify(&sealed_list(rest), &roots) {
                let again = believed.list().prepare(root().verifying_key()).unwrap().sign(&root()).unwrap();
                assert_eq!(payload_of(&again), rest, "a second form of a list");
            }
        }
        4 => {
            let read = StatusList::verify(&sealed_status(rest), list());
            assert!(read.is_err() || read.is_ok_and(|list| list.issued().0 % 900 == 0));
        }
        5 => {
            if let Ok(entry) = AuditEntry::decode(rest) {
                assert_eq!(entry.encode(), rest, "a second form of an entry");
            }
        }
        _ => {
            let Ok(text) = core::str::from_utf8(rest) else { return };
            // Nothing was signed under this key.
            let key = CheckpointKey::new("signer.example/audit", &SecretBytes::new([7; 32])).unwrap();
            assert!(key.verifier().open(text).is_err());
            if let Ok(verifier) = text.parse::<CheckpointVerifier>() {
                assert_eq!(verifier.to_string(), text, "a second form of a key");
            }
        }
    }
});
