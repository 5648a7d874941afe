//! What a shop keeps between two runs, and what it fetches.

use std::{cell::RefCell, collections::HashMap, fs};

use signer_client::{
    ClientError,
    lists::{Lists, ListsError, Synced, point, read_point},
    ports::TransportError,
};
use signer_core::{
    credential::{Colour, Reason, Turn, VerifyOptions},
    status::{STATUS_LIST_MEDIA_TYPE, StatusListError},
    trust::TrustListError,
};

use crate::support::{URI, code, key, list, now, root, signed, statuses};

const SERVER: &str = "https://signer.example";

/// Servers by address; what is not there is not reached.
#[derive(Default)]
struct Web {
    pages: HashMap<String, (&'static str, Vec<u8>)>,
    asked: RefCell<Vec<String>>,
}

impl Web {
    fn with(trust: Vec<u8>, lists: &[(u32, Vec<u8>)]) -> Self {
        let mut web = Self::default();
        web.put(&format!("{SERVER}/v1/trust-list"), "application/cose", trust);
        let addresses: Vec<_> = lists.iter().map(|(number, _)| format!("{URI}/{number}")).collect();
        web.index(&addresses);
        for (number, list) in lists {
            web.put(&format!("{URI}/{number}"), STATUS_LIST_MEDIA_TYPE, list.clone());
        }
        web
    }

    fn put(&mut self, address: &str, media_type: &'static str, body: Vec<u8>) {
        self.pages.insert(address.into(), (media_type, body));
    }

    fn index(&mut self, addresses: &[String]) {
        let json = serde_json::json!({ "status_lists": addresses, "ttl": 900 });
        self.put(URI, "application/json", json.to_string().into_bytes());
    }

    fn fetch(&self, address: &str, media_type: &str) -> Result<Vec<u8>, ClientError> {
        self.asked.borrow_mut().push(address.into());
        match self.pages.get(address) {
            Some((found, body)) if *found == media_type => Ok(body.clone()),
            _ => Err(TransportError::Gateway(502).into()),
        }
    }

    fn sync(&self, lists: &mut Lists) -> Result<Synced, ListsError> {
        lists.sync(SERVER, &|address, media_type| self.fetch(address, media_type), now())
    }
}

fn reason(lists: &Lists, index: u32) -> (Colour, Reason) {
    let text = code(index, Turn::FIRST, None);
    let (result, _) = lists.verify(&text, &VerifyOptions::at(now())).unwrap();
    (result.result, result.reason)
}

#[test]
fn tru_060_every_list_of_every_issuer_is_fetched_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
    assert!(matches!(lists.verify("DQ1:", &VerifyOptions::at(now())), Err(ListsError::NoTrustList)));
    let web = Web::with(signed(5), &[(1, statuses(1, &[17], 0)), (2, statuses(2, &[], 0))]);
    assert_eq!(web.sync(&mut lists).unwrap(), Synced { lists: 2, failed: vec![] });
    let asked = web.asked.borrow().clone();
    assert_eq!(
        asked,
        [format!("{SERVER}/v1/trust-list"), URI.into(), format!("{URI}/1"), format!("{URI}/2")]
    );
    for lists in [lists, Lists::open(folder.path(), None).unwrap()] {
        assert_eq!(lists.trust().unwrap().number(), 5);
        assert_eq!(reason(&lists, 16), (Colour::Green, Reason::Valid));
        assert_eq!(reason(&lists, 17), (Colour::Red, Reason::Revoked));
    }
}

#[test]
fn tru_061_nothing_older_takes_the_place_of_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
    let web = Web::with(signed(5), &[(1, statuses(1, &[17], 0))]);
    web.sync(&mut lists).unwrap();
    for mut lists in [lists, Lists::open(folder.path(), None).unwrap()] {
        let older = lists.take_trust_list(&signed(4));
        assert!(matches!(older, Err(ListsError::TrustList(TrustListError::Older { seen: 5, got: 4 }))));
        let older = lists.take_status_list(&statuses(1, &[], 1800));
        assert!(matches!(older, Err(ListsError::StatusList(StatusListError::Older))));
        let rolled_back = Web::with(signed(5), &[(1, statuses(1, &[], 1800)), (2, statuses(2, &[], 0))]);
        let synced = rolled_back.sync(&mut lists).unwrap();
        assert_eq!((synced.lists, synced.failed.len()), (1, 1), "one bad list stops no other");
        assert_eq!(reason(&lists, 17), (Colour::Red, Reason::Revoked));
        assert!(Web::with(signed(4), &[]).sync(&mut lists).is_err());
    }
}

#[test]
fn tru_062_an_issuer_names_only_its_own_addresses() {
    for foreign in [
        "https://elsewhere.example/lists/1",
        "https://issuer.example/lists/01",
        "https://issuer.example/lists/",
        "https://issuer.example/listsx/1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
        let mut web = Web::with(signed(5), &[(1, statuses(1, &[], 0))]);
        web.index(&[format!("{URI}/1"), foreign.into()]);
        let synced = web.sync(&mut lists).unwrap();
        assert_eq!((synced.lists, synced.failed[0].0.as_str()), (0, URI), "{foreign}");
        assert!(web.asked.borrow().iter().all(|asked| asked != foreign));
        assert_eq!(reason(&lists, 17), (Colour::Amber, Reason::WithdrawalsNotChecked));
    }
}

#[test]
fn tru_063_a_root_is_given_once_and_another_one_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Lists::open(folder.path(), None), Err(ListsError::NoRoot)));
    let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
    lists.take_trust_list(&signed(5)).unwrap();
    lists.take_status_list(&statuses(1, &[], 0)).unwrap();
    let other = list(1, &[*key(77).verifying_key()])
        .prepare(key(77).verifying_key())
        .unwrap()
        .sign(&key(77))
        .unwrap();
    assert!(matches!(lists.take_trust_list(&other), Err(ListsError::TrustList(TrustListError::UnknownRoot))));
    let mut lists = Lists::open(folder.path(), Some(*key(77).verifying_key())).unwrap();
    assert!(lists.trust().is_none() && lists.statuses().iter().count() == 0);
    assert!(lists.take_trust_list(&other).unwrap());
    assert_eq!(Lists::open(folder.path(), None).unwrap().trust().unwrap().number(), 1);
    let text = point(root().verifying_key());
    assert_eq!(read_point(&text), Some(*root().verifying_key()));
    for bad in ["", "AAAA", &format!("{text}="), &text[1..]] {
        assert_eq!(read_point(bad), None, "{bad}");
    }
}

#[test]
fn tru_064_a_rotated_root_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
    let next = *key(78).verifying_key();
    let rotated = list(5, &[next]).prepare(root().verifying_key()).unwrap().sign(&root()).unwrap();
    let after = list(6, &[next]).prepare(&next).unwrap().sign(&key(78)).unwrap();
    assert!(lists.take_trust_list(&rotated).unwrap() && lists.take_trust_list(&after).unwrap());
    let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
    assert_eq!(lists.trust().unwrap().number(), 6);
    assert!(!lists.take_trust_list(&after).unwrap(), "the same again");
}

#[test]
fn tru_065_damaged_files_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut lists = Lists::open(folder.path(), Some(*root().verifying_key())).unwrap();
    lists.take_trust_list(&signed(5)).unwrap();
    lists.take_status_list(&statuses(1, &[17], 0)).unwrap();
    fs::write(folder.path().join("1-1.cwt"), b"noise").unwrap();
    let lists = Lists::open(folder.path(), None).unwrap();
    assert_eq!(reason(&lists, 17), (Colour::Amber, Reason::WithdrawalsNotChecked));
    fs::write(folder.path().join("trust.json"), b"{}").unwrap();
    assert!(matches!(Lists::open(folder.path(), None), Err(ListsError::Folder(_))));
}
