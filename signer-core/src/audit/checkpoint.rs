//! Signed tree heads: C2SP tlog-checkpoint, a signed note (c2sp.org/signed-note v1.0.0) under Ed25519.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::tree::TreeHash;
use crate::secret::SecretBytes;

/// Longest note that is read, bytes.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Longest origin, bytes.
const ORIGIN_BYTES_MAX: usize = 200;
/// Type of an Ed25519 signature in a note.
const ED25519: u8 = 1;
/// What a signature line begins with.
const DASH: &str = "\u{2014} ";

/// What is wrong with a checkpoint or a key for checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note.
    #[error("not a signed note (c2sp.org/signed-note)")]
    Note,
    /// No signature by the key.
    #[error("the note is not signed by this key")]
    Unsigned,
    /// A signature that says to be the key's and is not.
    #[error("the signature of this key under the note is wrong")]
    Signature,
    /// Not a checkpoint.
    #[error("the note is not a checkpoint (c2sp.org/tlog-checkpoint)")]
    Checkpoint,
    /// Another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// Not a verifier key.
    #[error("not a verifier key: name+hash+key, as `signer-server audit key` prints it")]
    Key,
    /// Not a name for a log.
    #[error("a log's name is 1 to 200 characters without space, control character or plus")]
    Name,
}

/// A log's size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: TreeHash,
}

impl Checkpoint {
    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, BASE64_STANDARD.encode(self.root.0))
    }

    fn parse(text: &str, origin: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Checkpoint)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Checkpoint);
        let (named, size, root) = (line()?, line()?, line()?);
        if named != origin {
            return Err(CheckpointError::Origin);
        }
        let number: u64 = size.parse().map_err(|_| CheckpointError::Checkpoint)?;
        let root = BASE64_STANDARD.decode(root).map_err(|_| CheckpointError::Checkpoint)?;
        let root = TreeHash(root.try_into().map_err(|_| CheckpointError::Checkpoint)?);
        // More lines may follow, none of them empty.
        if number.to_string() != size || lines.any(str::is_empty) {
            return Err(CheckpointError::Checkpoint);
        }
        Ok(Self { size: number, root })
    }
}

fn check_name(name: &str) -> Result<(), CheckpointError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    let good = (1..=ORIGIN_BYTES_MAX).contains(&name.len()) && !name.contains(bad);
    if good { Ok(()) } else { Err(CheckpointError::Name) }
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// The key under which a log's checkpoints are signed; its name is the log's.
pub struct CheckpointKey {
    origin: String,
    key: SigningKey,
}

impl CheckpointKey {
    /// The key of the log `origin`, a URL without its scheme, from an Ed25519 seed (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`CheckpointError::Name`].
    pub fn new(origin: &str, seed: &SecretBytes<32>) -> Result<Self, CheckpointError> {
        check_name(origin)?;
        Ok(Self { origin: origin.to_string(), key: SigningKey::from_bytes(seed.expose()) })
    }

    /// Signs a checkpoint.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.text(&self.origin);
        let mut signature = key_id(&self.origin, &self.key.verifying_key()).to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{DASH}{} {}\n", self.origin, BASE64_STANDARD.encode(signature))
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> CheckpointVerifier {
        CheckpointVerifier { origin: self.origin.clone(), key: self.key.verifying_key() }
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointKey({}, ..)", self.origin)
    }
}

/// The public key of a log. Its text is a verifier key (`vkey`) of signed notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointVerifier {
    origin: String,
    key: VerifyingKey,
}

impl CheckpointVerifier {
    /// Name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The checkpoint in a note that the log has signed. Signatures of others are passed over.
    ///
    /// # Errors
    /// [`CheckpointError`], all but `Key` and `Name`.
    pub fn open(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let bad = |c: char| c < ' ' && c != '\n';
        if note.len() > NOTE_BYTES_MAX || note.contains(bad) {
            return Err(CheckpointError::Note);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(CheckpointError::Note)?;
        let signatures = signatures.strip_suffix('\n').ok_or(CheckpointError::Note)?;
        let text = format!("{text}\n");
        let mut signed = false;
        for line in signatures.split('\n') {
            signed |= self.signed_by_line(line, &text)?;
        }
        if signed { Checkpoint::parse(&text, &self.origin) } else { Err(CheckpointError::Unsigned) }
    }

    /// Whether a signature line is this key's.
    fn signed_by_line(&self, line: &str, text: &str) -> Result<bool, CheckpointError> {
        let (name, signature) =
            line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or(CheckpointError::Note)?;
        check_name(name).map_err(|_| CheckpointError::Note)?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| CheckpointError::Note)?;
        let (id, signature) = signature.split_first_chunk::<4>().ok_or(CheckpointError::Note)?;
        if name != self.origin || *id != key_id(&self.origin, &self.key) {
            return Ok(false);
        }
        let signature = Signature::from_slice(signature).map_err(|_| CheckpointError::Signature)?;
        self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| CheckpointError::Signature)?;
        Ok(true)
    }
}

impl fmt::Display for CheckpointVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(key_id(&self.origin, &self.key));
        let mut key = alloc::vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{id:08x}+{}", self.origin, BASE64_STANDARD.encode(key))
    }
}

impl FromStr for CheckpointVerifier {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or(CheckpointError::Key);
        let (origin, id, key) = (part()?, part()?, part()?);
        check_name(origin).map_err(|_| CheckpointError::Key)?;
        let key = BASE64_STANDARD.decode(key).map_err(|_| CheckpointError::Key)?;
        let (kind, key) = key.split_first().ok_or(CheckpointError::Key)?;
        let key = key.try_into().map_err(|_| CheckpointError::Key)?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| CheckpointError::Key)?;
        let found = Self { origin: origin.to_string(), key };
        let named = format!("{:08x}", u32::from_be_bytes(key_id(origin, &key)));
        if *kind == ED25519 && !key.is_weak() && named == id { Ok(found) } else { Err(CheckpointError::Key) }
    }
}
