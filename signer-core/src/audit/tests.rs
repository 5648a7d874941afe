use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::ops::Range;

use proptest::prelude::*;

use super::{tree::*, *};
use crate::secret::SecretBytes;

/// The tree by the letter of RFC 6962 section 2.1.
fn root_by_the_letter(leaves: &[TreeHash]) -> TreeHash {
    use sha2::{Digest as _, Sha256};
    match leaves {
        [] => TreeHash(Sha256::digest([]).into()),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let (left, right) = (root_by_the_letter(left), root_by_the_letter(right));
            TreeHash(
                Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into(),
            )
        }
    }
}

/// A log as a store keeps it: leaves, and the kept nodes above them.
struct Log {
    leaves: Vec<TreeHash>,
    nodes: BTreeMap<Node, TreeHash>,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut log = Self {
            leaves: (0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect(),
            nodes: BTreeMap::new(),
        };
        for (half, node) in Node::grown(0, size / 2)
            .into_iter()
            .map(|node| (0, node))
            .chain(Node::grown(size / 2, size).into_iter().map(|node| (1, node)))
        {
            let Range { start, end } = node.leaves();
            assert!(end <= size, "{half}");
            // A node is made of kept nodes of the level below.
            let children = (0..256)
                .map(|child| Node { level: node.level - KEPT_LEVELS, index: node.index * 256 + child });
            let leaves: Vec<_> = children.map(|child| log.hash(child).unwrap()).collect();
            assert_eq!(log.nodes.insert(node, root_by_the_letter(&leaves)), None);
            assert_eq!(
                log.nodes[&node],
                root_by_the_letter(
                    &log.leaves[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]
                )
            );
        }
        log
    }

    fn hash(&self, node: Node) -> Option<TreeHash> {
        match node.level {
            0 => self.leaves.get(usize::try_from(node.index).ok()?).copied(),
            _ => self.nodes.get(&node).copied(),
        }
    }

    fn roots(&self, ranges: &[Range<u64>]) -> Vec<TreeHash> {
        let needed = needed(ranges);
        let known = |node| needed.contains(&node).then(|| self.hash(node)).flatten();
        ranges.iter().map(|range| subtree(range, &known).unwrap()).collect()
    }

    fn root(&self, size: u64) -> TreeHash {
        let all = 0..size;
        self.roots(core::slice::from_ref(&all))[0]
    }
}

#[test]
fn aud_001_roots_are_those_of_certificate_transparency() {
    // The reference leaves and roots of the implementations of RFC 6962.
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(
        format!("{:?}", frontier.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    for (leaf, root) in leaves.into_iter().zip(roots) {
        frontier.push(leaf_hash(leaf));
        assert_eq!(format!("{:?}", frontier.root()), root);
    }
}

#[test]
fn aud_002_every_root_and_proof_of_a_growing_log_holds() {
    let log = Log::of(1100);
    let mut frontier = Frontier::default();
    for size in 0..=1100 {
        let root = log.root(size);
        assert_eq!(root, frontier.root());
        if size < 40 || size % 83 == 0 {
            assert_eq!(root, root_by_the_letter(&log.leaves[..usize::try_from(size).unwrap()]));
            for index in (0..size).step_by(if size < 40 { 1 } else { 37 }) {
                let proof = log.roots(&inclusion(index, size).unwrap());
                assert!(
                    includes(log.hash(Node { level: 0, index }).unwrap(), index, size, root, &proof),
                    "{index} in {size}"
                );
            }
            for old in (0..=size).step_by(if size < 40 { 1 } else { 41 }) {
                let proof = log.roots(&consistency(old, size).unwrap());
                assert!(
                    proof.len() <= PROOF_MAX && continues(old, log.root(old), size, root, &proof),
                    "{old} to {size}"
                );
            }
        }
        if let Some(leaf) = log.hash(Node { level: 0, index: size }) {
            frontier.push(leaf);
        }
    }
    assert_eq!(inclusion(5, 5), None);
    assert_eq!(consistency(6, 5), None);
}

#[test]
fn aud_003_few_hashes_are_fetched_from_a_long_log() {
    let size = 3_000_000_007;
    for ranges in [
        inclusion(1_234_567_890, size).unwrap(),
        consistency(1_234_567_890, size).unwrap(),
        core::iter::once(0..size).collect(),
    ] {
        assert!(needed(&ranges).len() < 8 * 256);
    }
}

proptest! {
    #[test]
    fn aud_004_a_proof_shows_one_thing_only(
        size in 1_u64..600, index in any::<u64>(), old in any::<u64>(), byte in 0_usize..32, at in any::<usize>(), other in 0_u64..600,
    ) {
        let (index, old) = (index % size, old % size);
        let log = Log::of(600);
        let (root, leaf) = (log.root(size), log.hash(Node { level: 0, index }).unwrap());
        let proof = log.roots(&inclusion(index, size).unwrap());
        let flipped = |hash: TreeHash| { let mut bytes = hash.0; bytes[byte] ^= 1; TreeHash(bytes) };
        let changed = |proof: &[TreeHash]| {
            let mut proof = proof.to_vec();
            let at = at % proof.len();
            proof[at] = flipped(proof[at]);
            proof
        };
        prop_assert!(!includes(flipped(leaf), index, size, root, &proof));
        prop_assert!(!includes(leaf, index, size, flipped(root), &proof));
        prop_assert!(other == index || !includes(leaf, other, size, root, &proof));
        let longer = [proof.clone(), Vec::from([leaf])].concat();
        prop_assert!(!includes(leaf, index, size, root, &longer));
        if !proof.is_empty() {
            prop_assert!(!includes(leaf, index, size, root, &changed(&proof)));
            prop_assert!(!includes(leaf, index, size, root, &proof[1..]));
        }
        let proof = log.roots(&consistency(old, size).unwrap());
        let old_root = log.root(old);
        prop_assert!(!continues(old, flipped(old_root), size, root, &proof));
        prop_assert!(!continues(size, flipped(root), size, root, &[]));
        if old > 0 {
            prop_assert!(!continues(old, old_root, size, flipped(root), &proof));
            prop_assert!(!continues(old, old_root, size, root, &changed(&proof)));
            prop_assert!(!continues(old, old_root, size, root, &proof[1..]));
        }
    }
}

fn entry(index: u64, previous: TreeHash) -> AuditEntry {
    AuditEntry {
        index,
        previous,
        at: UnixSeconds(1_800_000_000),
        act: AuditAct::Revoked,
        subject: Some(AuditName::from_bytes([1; 16])),
        relying_party: Some(RelyingPartyId::from_bytes([2; 16])),
        object: Some(AuditObject::from_bytes([3; 16])),
        detail: AuditDetail::new("affiliation_changed".into()),
    }
}

fn log(size: u64) -> Vec<Vec<u8>> {
    let mut chain = AuditChain::default();
    let mut entries = Vec::new();
    for index in 0..size {
        let bytes = entry(index, chain.last()).encode();
        chain.follow(&bytes).unwrap();
        entries.push(bytes);
    }
    entries
}

fn follow(entries: &[Vec<u8>]) -> Result<AuditChain, AuditFault> {
    let mut chain = AuditChain::default();
    entries.iter().try_for_each(|entry| chain.follow(entry).map(|_| ())).map(|()| chain)
}

#[test]
fn aud_005_any_changed_dropped_or_swapped_entry_breaks_the_chain() {
    let entries = log(6);
    let chain = follow(&entries).unwrap();
    assert_eq!((chain.size(), chain.last()), (6, leaf_hash(&entries[5])));
    for place in 0..6_u64 {
        let at = usize::try_from(place).unwrap();
        for byte in 0..entries[at].len() {
            let mut changed = entries.clone();
            changed[at][byte] ^= 1;
            match follow(&changed) {
                // The last one is held by a checkpoint alone.
                Ok(other) => assert!(at == 5 && other.root() != chain.root()),
                Err(AuditFault::Malformed { index }) => assert_eq!(index, place),
                Err(AuditFault::Gap { expected, .. }) => assert_eq!(expected, place),
                Err(AuditFault::Broken { index }) => assert!(index == place || index == place + 1),
                Err(fault) => panic!("{fault}"),
            }
        }
        let mut dropped = entries.clone();
        dropped.remove(at);
        let gap = AuditFault::Gap { expected: place, got: place + 1 };
        assert_eq!(follow(&dropped).err(), (at < 5).then_some(gap));
    }
    let mut swapped = entries;
    swapped.swap(2, 3);
    assert_eq!(follow(&swapped).err(), Some(AuditFault::Gap { expected: 2, got: 3 }));
}

#[test]
fn aud_006_entries_have_one_encoding_and_stay_small() {
    let mut longest = entry(u64::MAX, TreeHash([255; 32]));
    longest.at = UnixSeconds(u64::MAX);
    longest.detail = AuditDetail::new("x".repeat(AUDIT_DETAIL_BYTES_MAX));
    let bytes = longest.encode();
    assert!(bytes.len() <= AUDIT_ENTRY_BYTES_MAX);
    assert_eq!(AuditEntry::decode(&bytes).as_ref(), Ok(&longest));
    assert!(AuditEntry::decode(&[&bytes[..], &[0]].concat()).is_err());
    for act in AuditAct::ALL {
        assert_eq!(act.name().parse(), Ok(*act));
        assert!(AuditDetail::new(act.name().into()).is_some());
    }
}

fn key(byte: u8) -> CheckpointKey {
    CheckpointKey::new("signer.example/audit/01", &SecretBytes::new([byte; 32])).unwrap()
}

#[test]
fn aud_007_the_example_of_the_note_specification_is_read() {
    let verifier: CheckpointVerifier =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    // Its signature holds; it is no checkpoint.
    assert_eq!(verifier.open(note), Err(CheckpointError::Checkpoint));
    assert_eq!(
        verifier.open(&note.replace("example message", "example massage")),
        Err(CheckpointError::Signature)
    );
}

#[test]
fn aud_008_checkpoints_come_back_and_nothing_else_does() {
    let checkpoint = Checkpoint { size: 20_852_163, root: TreeHash([9; 32]) };
    let (note, verifier) = (key(1).sign(&checkpoint), key(1).verifier());
    assert_eq!(verifier.to_string().parse::<CheckpointVerifier>().as_ref(), Ok(&verifier));
    assert_eq!(verifier.open(&note).as_ref(), Ok(&checkpoint));
    assert_eq!(key(2).verifier().open(&note), Err(CheckpointError::Unsigned));
    // Others may sign beside it.
    let (_, other) = key(2)
        .sign(&checkpoint)
        .rsplit_once("\n\n")
        .map(|(a, b)| (String::from(a), String::from(b)))
        .unwrap();
    assert_eq!(verifier.open(&format!("{note}{other}")).as_ref(), Ok(&checkpoint));
    let body = note.rsplit_once("\n\n").unwrap().0;
    assert_eq!(verifier.open(&format!("{body}\n\n{other}")), Err(CheckpointError::Unsigned));
    for (at, _) in note.char_indices() {
        let mut changed = note.clone().into_bytes();
        changed[at] ^= 1;
        if let Ok(changed) = String::from_utf8(changed) {
            assert!(verifier.open(&changed).is_err(), "{changed}");
        }
    }
    assert_eq!(verifier.open(""), Err(CheckpointError::Note));
    assert_eq!(verifier.open(&" ".repeat(NOTE_BYTES_MAX + 1)), Err(CheckpointError::Note));
    let elsewhere = CheckpointKey::new("signer.example/other", &SecretBytes::new([1; 32])).unwrap();
    assert_eq!(verifier.open(&elsewhere.sign(&checkpoint)), Err(CheckpointError::Unsigned));
}

#[test]
fn aud_009_names_and_keys_are_checked() {
    for name in ["", "a b", "a+b", "a\nb", "\u{2003}", &"x".repeat(201)] {
        assert!(CheckpointKey::new(name, &SecretBytes::new([1; 32])).is_err(), "{name}");
    }
    let text = key(1).verifier().to_string();
    for (at, _) in text.char_indices() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(changed.parse::<CheckpointVerifier>().err(), Some(CheckpointError::Key), "{changed}");
    }
}
