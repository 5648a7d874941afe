//! The Merkle tree of RFC 6962 section 2.1, over SHA-256.
//!
//! Of its inner nodes a store keeps those of whole subtrees at every eighth level ([`Node`], the tiles of C2SP tlog-tiles): any
//! root or proof is then a few hundred hashes away however long the log is, for one kept node in 256 leaves.
//!
//! The two prefixes of the RFC part leaves from nodes. They are no labels of [`crate::domain`], whose preimages begin with the
//! length of a label, at least 2: no hash of one kind is a hash of the other.

use alloc::vec::Vec;
use core::{fmt, ops::Range};

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

/// Levels between two kept nodes.
pub const KEPT_LEVELS: u8 = 8;
/// Most hashes of a proof: one for each level of a tree of 2^64 leaves, and the subtree a consistency proof begins with.
pub const PROOF_MAX: usize = 65;

/// A hash of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct TreeHash(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> TreeHash {
    TreeHash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

fn parent(left: TreeHash, right: TreeHash) -> TreeHash {
    TreeHash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Root of a tree without leaves.
fn empty() -> TreeHash {
    TreeHash(Sha256::digest([]).into())
}

/// A whole subtree of 2^`level` leaves whose root a store keeps; `level` is a multiple of [`KEPT_LEVELS`]. Level 0 are leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height above the leaves.
    pub level: u8,
    /// Place among the nodes of this level, from 0.
    pub index: u64,
}

impl Node {
    /// The nodes that become whole when a log grows from `from` leaves to `to`, lower levels first, without leaves.
    #[must_use]
    pub fn grown(from: u64, to: u64) -> Vec<Self> {
        let levels = (1..8_u8).filter_map(|tile| tile.checked_mul(KEPT_LEVELS));
        let of_level = |level: u8| (from >> level..to >> level).map(move |index| Self { level, index });
        levels.flat_map(of_level).collect()
    }

    /// The leaves under it.
    #[must_use]
    pub fn leaves(self) -> Range<u64> {
        let size = 1_u64.checked_shl(self.level.into()).unwrap_or(u64::MAX);
        let first = self.index.saturating_mul(size);
        first..first.saturating_add(size)
    }
}

/// The kept node with just these leaves, if there is one.
fn kept(range: &Range<u64>) -> Option<Node> {
    let size = range.end.saturating_sub(range.start);
    let level = u8::try_from(size.trailing_zeros()).ok()?;
    let whole =
        size.is_power_of_two() && level.is_multiple_of(KEPT_LEVELS) && range.start.is_multiple_of(size);
    whole.then(|| Node { level, index: range.start >> level })
}

/// The two parts of a range of at least two leaves: the left one is the largest whole subtree that leaves something.
fn halves(range: &Range<u64>) -> Option<(Range<u64>, Range<u64>)> {
    let last = range.end.checked_sub(range.start)?.checked_sub(1)?;
    let left = 1_u64 << last.checked_ilog2()?;
    let middle = range.start.saturating_add(left);
    Some((range.start..middle, middle..range.end))
}

/// The nodes to fetch for [`subtree`] of a range: for a kept node itself, its children.
#[must_use]
pub fn needed(ranges: &[Range<u64>]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for range in ranges {
        collect(range, &mut nodes);
    }
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn collect(range: &Range<u64>, nodes: &mut Vec<Node>) {
    if let Some(node) = kept(range) {
        nodes.push(node);
    } else if let Some((left, right)) = halves(range) {
        collect(&left, nodes);
        collect(&right, nodes);
    }
}

/// Root over a range, from what `hash` knows of its [`needed`] nodes; `None` if one is missing.
pub fn subtree(range: &Range<u64>, hash: &impl Fn(Node) -> Option<TreeHash>) -> Option<TreeHash> {
    if range.is_empty() {
        return Some(empty());
    }
    if let Some(node) = kept(range) {
        return hash(node);
    }
    let (left, right) = halves(range)?;
    Some(parent(subtree(&left, hash)?, subtree(&right, hash)?))
}

/// The ranges whose roots prove that leaf `index` is in the tree of `size` leaves, in the order of the proof (RFC 6962
/// section 2.1.1); `None` if it is not.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut range, mut proof) = (0..size, Vec::new());
    while let Some((left, right)) = halves(&range) {
        if left.contains(&index) {
            proof.push(right);
            range = left;
        } else {
            proof.push(left);
            range = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The ranges whose roots prove that the tree of `size` leaves continues that of its first `old` ones, in the order of the
/// proof (RFC 6962 section 2.1.2); `None` if `old` is more.
#[must_use]
pub fn consistency(old: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if old > size {
        return None;
    }
    let (mut range, mut proof, mut whole) = (0..size, Vec::new(), true);
    while range.end != old && old != 0 {
        let (left, right) = halves(&range)?;
        if old <= left.end {
            proof.push(right);
            range = left;
        } else {
            proof.push(left);
            range = right;
            whole = false;
        }
    }
    if !whole {
        proof.push(range);
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that a leaf stands at `index` in the tree of `size` leaves with this root (RFC 9162 section 2.1.3.2).
#[must_use]
pub fn includes(leaf: TreeHash, index: u64, size: u64, root: TreeHash, proof: &[TreeHash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size.saturating_sub(1), leaf);
    for other in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = parent(*other, hash);
            (place, last) = to_right_child(place, last);
        } else {
            hash = parent(hash, *other);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `size` leaves with `root` continues that of `old` leaves with `old_root` (RFC 9162
/// section 2.1.4.2).
#[must_use]
pub fn continues(old: u64, old_root: TreeHash, size: u64, root: TreeHash, proof: &[TreeHash]) -> bool {
    if old == 0 || old >= size {
        return proof.is_empty()
            && if old == 0 { old_root == empty() } else { old == size && old_root == root };
    }
    // A whole subtree is not in the proof: who asks knows it.
    let known = if old.is_power_of_two() { Some(old_root) } else { None };
    let mut path = known.iter().chain(proof);
    let Some(first) = path.next() else { return false };
    let shift = old.saturating_sub(1).trailing_ones();
    let mut place = old.saturating_sub(1) >> shift;
    let mut last = size.saturating_sub(1) >> shift;
    let (mut old_hash, mut hash) = (*first, *first);
    for other in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old_hash = parent(*other, old_hash);
            hash = parent(*other, hash);
            (place, last) = to_right_child(place, last);
        } else {
            hash = parent(hash, *other);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && old_hash == old_root && hash == root
}

/// Up the tree past the levels at which the node has no sibling.
fn to_right_child(place: u64, last: u64) -> (u64, u64) {
    let shift = if place == 0 { 0 } else { place.trailing_zeros() };
    (place >> shift, last >> shift)
}

/// The right edge of a growing tree: the roots of its largest whole subtrees, the largest first.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<TreeHash>,
}

impl Frontier {
    /// Leaves so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = parent(left, hash);
            }
        }
        self.roots.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let mut roots = self.roots.iter().rev().copied();
        let Some(last) = roots.next() else { return empty() };
        roots.fold(last, |right, left| parent(left, right))
    }
}
