//! Every hash, MAC and derived key of the project, each under a label of its own.
//!
//! Preimage: `len(label) as u8 || label`, then for each field `len(field) as u64, big endian || field`. No two lists
//! of fields share a preimage (TSSHOCK's ambiguity, pitfall 6). Numbers are fields of 8 bytes, big endian.
//! The labels are pinned in `tests/golden/labels.txt`: a change there is a change of the protocol.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::secret::{Secret, SecretBytes};

macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// What a hash is for. One variant per purpose; a new message version is a new variant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Domain { $($(#[$doc])* $name,)* }

        impl Domain {
            /// Every domain, for the golden file.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The label that opens the preimage; shorter than 256 bytes.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

domains! {
    /// Device id from the device's public key.
    DeviceId = "signer/v1/device-id",
    /// What the device key signs on every message.
    DeviceMessage = "signer/v1/device-message",
    /// What the device key signs under an approval record.
    ApprovalRecord = "signer/v1/approval-record",
    /// Hash of the request object.
    RequestObject = "signer/v1/request-object",
    /// Digest signed first by a new key.
    EnrolmentStatement = "signer/v1/enrolment-statement",
    /// Digest signed first by refreshed shares.
    RefreshStatement = "signer/v1/refresh-statement",
    /// Seed of the server's nonces, keyed by the nonce key.
    ServerNonce = "signer/v1/server-nonce",
    /// Receipt of a fetch, keyed by the nonce key.
    FetchReceipt = "signer/v1/fetch-receipt",
    /// Randomness of one party's nonces for one signature, keyed by their seed.
    NonceStream = "signer/v1/nonce-stream",
    /// The device's hedge for one digest of a request.
    NonceHedge = "signer/v1/nonce-hedge",
    /// Gate key from the device's share and seed.
    GateKey = "signer/v1/gate-key",
    /// Gate MAC over an approve payload.
    GateApprove = "signer/v1/gate-approve",
    /// Gate MAC over a PIN proof outside signing.
    GateProof = "signer/v1/gate-proof",
    /// Gate MAC over the end of an enrolment or refresh.
    GateConfirm = "signer/v1/gate-confirm",
    /// Device token, keyed by the token key.
    DeviceToken = "signer/v1/device-token",
    /// Challenge of a PIN proof, keyed by the nonce key.
    ProofChallenge = "signer/v1/proof-challenge",
    /// Idempotency key of a payload.
    Payload = "signer/v1/payload",
    /// Stretched PIN handed to the hardware key.
    PinStretch = "signer/v1/pin-stretch",
    /// Mask of the device's share.
    ShareMask = "signer/v1/share-mask",
    /// Mask of the device's master seed.
    SeedMask = "signer/v1/seed-mask",
    /// Checksum over masked state, against bit rot.
    MaskedChecksum = "signer/v1/masked-checksum",
    /// Commitment to the server's part of the refresh offset.
    RefreshCommitment = "signer/v1/refresh-commitment",
    /// Refresh offset from both parties' parts.
    RefreshOffset = "signer/v1/refresh-offset",
    /// Name of a key-encryption key.
    KekId = "signer/v1/kek-id",
    /// Stored form of a bearer token or a code.
    TokenHash = "signer/v1/token-hash",
    /// Key of a credential's digits.
    CredentialOtp = "signer/v1/credential-otp",
    /// Salt of a credential's portrait digest.
    PortraitSalt = "signer/v1/portrait-salt",
    /// Stored form of a short code on display, keyed by the server's key for online use.
    ShortCode = "signer/v1/short-code",
    /// Salt of a disclosure, keyed by the same.
    DisclosureSalt = "signer/v1/disclosure-salt",
    /// A key as one relying party of the CSC API names it.
    CscCredential = "signer/v1/csc-credential",
    /// Digest that a holder signs to let a relying party see the signing certificate.
    SignIn = "signer/v1/sign-in",
    /// A code as a signed answer names it, salted.
    AnsweredCode = "signer/v1/answered-code",
    /// What a holder was shown of a check.
    CheckShown = "signer/v1/check-shown",
    /// Stored form of an organisation's document, keyed by the server's key for online use.
    OrganisationDocument = "signer/v1/organisation-document",
    /// Proof of possession of a day key.
    DayKeyProof = "signer/v1/day-key-proof",
    /// `es256`: names one run of key generation.
    Es256Keygen = "signer/v1/es256-keygen",
    /// `es256`: the server's commitment to its public share.
    Es256KeyCommitment = "signer/v1/es256-key-commitment",
    /// `es256`: what a party's proof in key generation stands on.
    Es256KeyProof = "signer/v1/es256-key-proof",
    /// `es256`: challenge of a proof of knowledge.
    Es256Challenge = "signer/v1/es256-challenge",
    /// `es256`: a new share.
    Es256Share = "signer/v1/es256-share",
    /// `es256`: a party's secret in one oblivious transfer.
    Es256OtExponent = "signer/v1/es256-ot-exponent",
    /// `es256`: hash to the curve in oblivious transfer (RFC 9380 §3.1).
    Es256OtPoint = "signer/v1/es256-ot-point-P256_XMD:SHA-256_SSWU_RO_",
    /// `es256`: pad of one message of oblivious transfer.
    Es256OtPad = "signer/v1/es256-ot-pad",
    /// `es256`: key of the stream of oblivious transfer's seeds, from the master seed.
    Es256Seeds = "signer/v1/es256-seeds",
    /// `es256`: the device's nonce, salt and pad nonce for one digest.
    Es256DeviceNonce = "signer/v1/es256-device-nonce",
    /// `es256`: the device's commitment to its nonce point.
    Es256NonceCommitment = "signer/v1/es256-nonce-commitment",
    /// `es256`: the server's nonce from its seed.
    Es256ServerNonce = "signer/v1/es256-server-nonce",
    /// `es256`: randomness of the proof of the server's nonce.
    Es256ProofNonce = "signer/v1/es256-proof-nonce",
    /// `es256`: transcript of one signature, up to the server's nonce point.
    Es256Transcript = "signer/v1/es256-transcript",
    /// `es256`: what re-randomises the nonce.
    Es256Shift = "signer/v1/es256-shift",
    /// `es256`: tweak of the pads of one signature.
    Es256Tweak = "signer/v1/es256-tweak",
    /// Server time, signed by the answer key.
    ServerTime = "signer/v1/server-time",
    /// Head of an empty history.
    HistoryStart = "signer/v1/history-start",
    /// Head of a history after an entry.
    HistoryEntry = "signer/v1/history-entry",
    /// What a sealed entry is bound to.
    HistorySeal = "signer/v1/history-seal",
    /// What a phone leaves for its holder, as an enrolment's statement names it.
    HolderKeys = "signer/v1/holder-keys",
    /// Check letters of a lost code.
    LostCodeCheck = "signer/v1/lost-code-check",
    /// Proof of a device link, keyed by its secret.
    DeviceLink = "signer/v1/device-link",
    /// A person as one relying party names them, keyed by the server's name key.
    PairwisePerson = "signer/v1/pairwise-person",
    /// What one round of a ceremony draws from, keyed by the ceremony's seed.
    CeremonyRandomness = "signer/v1/ceremony-randomness",
    /// Blocks that one round of a ceremony draws.
    CeremonyStream = "signer/v1/ceremony-stream",
    /// What the server answered in a ceremony, to be compared when the stage is computed again.
    CeremonyAnswer = "signer/v1/ceremony-answer",
}

/// SHA-256 over a domain and its fields.
#[derive(Clone, Debug)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts a preimage under `domain`.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        let mut hash = Sha256::new();
        open(domain, |bytes| hash.update(bytes));
        Self(hash)
    }

    /// Adds a field of bytes.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        framed(bytes, |part| self.0.update(part));
        self
    }

    /// Adds a number as a field of 8 bytes, big endian.
    #[must_use]
    pub fn number(self, value: u64) -> Self {
        self.field(&value.to_be_bytes())
    }

    /// The digest, 32 bytes.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// HMAC-SHA-256 over a domain and its fields.
pub struct Macer(Hmac<Sha256>);

impl Macer {
    /// Starts a MAC under `key` and `domain`.
    #[must_use]
    pub fn new(key: &SecretBytes<32>, domain: Domain) -> Self {
        // HMAC pads a short key with zeros to its block of 64 bytes (RFC 2104); done here, construction cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(key.expose()).for_each(|(to, from)| *to = *from);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        open(domain, |bytes| mac.update(bytes));
        Self(mac)
    }

    /// Adds a field of bytes.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        framed(bytes, |part| self.0.update(part));
        self
    }

    /// Adds a number as a field of 8 bytes, big endian.
    #[must_use]
    pub fn number(self, value: u64) -> Self {
        self.field(&value.to_be_bytes())
    }

    /// The tag as a public value that travels in a message.
    #[must_use]
    pub fn tag(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// The tag as a secret: a derived key or seed.
    #[must_use]
    pub fn derive(self) -> SecretBytes<32> {
        Secret::new(self.tag())
    }

    /// Whether `tag` is right, in constant time.
    #[must_use]
    pub fn verify(self, tag: &[u8; 32]) -> bool {
        self.tag().ct_eq(tag).into()
    }
}

impl core::fmt::Debug for Macer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Macer(redacted)")
    }
}

/// HKDF-SHA-256 (RFC 5869): `N` bytes from `key` under `domain` and fields, `N` at most 8160.
#[must_use]
pub fn expand<const N: usize>(key: &[u8], domain: Domain, fields: &[&[u8]]) -> SecretBytes<N> {
    let info = fields.iter().fold(Hasher::new(domain), |hash, field| hash.field(field)).finish();
    let mut out = SecretBytes::new([0; N]);
    // The only error is a length over 255 blocks, which the constant below rules out while compiling.
    const { assert!(N <= 255 * 32) };
    let done = Hkdf::<Sha256>::new(Some(domain.label().as_bytes()), key).expand(&info, out.expose_mut());
    debug_assert!(done.is_ok());
    out
}

/// SHA-256 of `bytes` without a domain: only where an outside format says so (digests to be signed, key ids, COSE).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn open(domain: Domain, mut update: impl FnMut(&[u8])) {
    let label = domain.label().as_bytes();
    update(&[u8::try_from(label.len()).unwrap_or(u8::MAX)]);
    update(label);
}

fn framed(bytes: &[u8], mut update: impl FnMut(&[u8])) {
    update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_are_pinned_and_distinct() {
        let listed: alloc::string::String =
            Domain::ALL.iter().map(|domain| alloc::format!("{domain:?} {}\n", domain.label())).collect();
        assert_eq!(
            listed,
            include_str!("../tests/golden/labels.txt"),
            "a changed label is a protocol change"
        );
        for (i, one) in Domain::ALL.iter().enumerate() {
            assert!(Domain::ALL[i + 1..].iter().all(|other| other.label() != one.label()), "{one:?}");
        }
    }

    proptest! {
        /// Pitfall 6: no two lists of fields share a preimage.
        #[test]
        fn field_lists_do_not_collide(a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
                                      b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4)) {
            let hash = |list: &[alloc::vec::Vec<u8>]| {
                list.iter().fold(Hasher::new(Domain::Payload), |hash, field| hash.field(field)).finish()
            };
            prop_assert_eq!(hash(&a) == hash(&b), a == b);
        }
    }
}
