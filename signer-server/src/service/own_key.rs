//! One of the server's own keys that sign, wherever it is: in memory, or in a token.

use p256::ecdsa::{Signature, SigningKey, VerifyingKey, signature::Signer as _};
use rand::Rng as _;
use signer_core::{
    credential::{DayClaims, DayCredential, DayError, UnsignedEnvelope},
    domain::sha256,
    secret::SecretBytes,
    wrap::Location,
};
use zeroize::Zeroizing;

use super::{ServiceError, ServiceResult};
use crate::{
    hsm::{SigningPair, Token, TokenError},
    ports::Random,
    store::ServerKeyRow,
    wrap::Wrapping,
};

/// Length of a pair's id in the token, bytes.
const ID_BYTES: usize = 16;
/// First byte of what is stored of a key in a token. A key in memory is stored as its 32 bytes.
const IN_TOKEN: u8 = 1;

/// A key that signs with ECDSA over P-256 and SHA-256.
#[derive(Clone)]
pub(super) enum OwnKey {
    Memory(SigningKey),
    Token { token: Token, pair: SigningPair, public: VerifyingKey },
}

impl OwnKey {
    /// Draws a key that is for `purpose`, in the token if `token` is one. What is to be stored of it.
    pub(super) async fn draw(
        token: Option<&Token>,
        purpose: &str,
        random: &dyn Random,
    ) -> ServiceResult<(Self, Zeroizing<Vec<u8>>)> {
        let Some(token) = token else {
            // A scalar is out of range with probability 2^-32; draw again.
            loop {
                let secret = SecretBytes::<32>::random(&mut *random.rng());
                if let Ok(key) = SigningKey::from_slice(secret.expose()) {
                    return Ok((Self::Memory(key), Zeroizing::new(secret.expose().to_vec())));
                }
            }
        };
        let mut id = [0; ID_BYTES];
        random.rng().fill_bytes(&mut id);
        let (pair, public) = token.make_pair(purpose, id.to_vec()).await?;
        let key = Self::Token { token: token.clone(), pair, public };
        let stored = [&[IN_TOKEN][..], &id, &key.point()].concat();
        Ok((key, Zeroizing::new(stored)))
    }

    /// The key that is stored so.
    pub(super) async fn unwrap(wrapping: &Wrapping, row: &ServerKeyRow) -> ServiceResult<Self> {
        let bytes = wrapping.unwrap_secret(&location(&row.purpose), &row.wrapped).await?;
        let key = match bytes.as_slice() {
            [IN_TOKEN, rest @ ..] if rest.len() == ID_BYTES.saturating_add(row.public_key.len()) => {
                let (id, point) = rest.split_at(ID_BYTES);
                let token = wrapping.token().ok_or(ServiceError::NoToken)?;
                VerifyingKey::from_sec1_bytes(point).ok().map(|public| Self::Token {
                    token: token.clone(),
                    pair: token.pair(&row.purpose, id.to_vec()),
                    public,
                })
            }
            scalar => SigningKey::from_slice(scalar).ok().map(Self::Memory),
        };
        let key = key.ok_or(ServiceError::Bug("stored signing key"))?;
        // Lists tell others the public half: it must be the one that was wrapped.
        if key.point() != row.public_key {
            return Err(ServiceError::Bug("stored server key does not match its public half"));
        }
        Ok(key)
    }

    /// Does away with a key that was drawn in vain.
    pub(super) async fn discard(self, purpose: &str) {
        if let Self::Token { token, pair, .. } = self {
            token.destroy_pair(purpose, &pair).await;
        }
    }

    /// The public half.
    pub(super) fn verifying_key(&self) -> &VerifyingKey {
        match self {
            Self::Memory(key) => key.verifying_key(),
            Self::Token { public, .. } => public,
        }
    }

    /// The public half, SEC1 compressed.
    pub(super) fn point(&self) -> Vec<u8> {
        self.verifying_key().to_sec1_point(true).as_bytes().to_vec()
    }

    /// Fails if it could not sign now. Asked before something else is done for a signature.
    pub(super) fn can_sign(&self) -> ServiceResult<()> {
        match self {
            Self::Token { token, .. } if !token.works() => {
                Err(TokenError::Unavailable("it did not a moment ago".into()).into())
            }
            Self::Memory(_) | Self::Token { .. } => Ok(()),
        }
    }

    /// Signs: r ‖ s. In memory without randomness (RFC 6979).
    pub(super) async fn sign(&self, message: &[u8]) -> ServiceResult<[u8; 64]> {
        match self {
            Self::Memory(key) => {
                let signature: Signature = key.sign(message);
                Ok(signature.to_bytes().into())
            }
            Self::Token { token, pair, .. } => Ok(token.sign(pair, sha256(message)).await?),
        }
    }

    /// Signs an envelope. What a token made is checked before it leaves.
    pub(super) async fn sign_envelope(&self, envelope: UnsignedEnvelope) -> ServiceResult<Vec<u8>> {
        let signed = match self {
            Self::Memory(key) => envelope.sign(key),
            Self::Token { .. } => {
                let signature = self.sign(envelope.to_sign()).await?;
                envelope.complete(&signature)
            }
        };
        signed.map_err(|_| ServiceError::Bug("an own key does not sign"))
    }

    /// Signs a credential. What a token made is checked before it leaves.
    ///
    /// # Errors
    /// Within: the claims do not fit.
    pub(super) async fn sign_day(&self, claims: DayClaims) -> ServiceResult<Result<DayCredential, DayError>> {
        if let Self::Memory(key) = self {
            return Ok(claims.sign(key));
        }
        let unsigned = match claims.prepare(self.verifying_key()) {
            Ok(unsigned) => unsigned,
            Err(error) => return Ok(Err(error)),
        };
        let signature = self.sign(unsigned.to_sign()).await?;
        match unsigned.complete(&signature) {
            Err(DayError::Signature(_)) => Err(ServiceError::Bug("an own key does not sign")),
            done => Ok(done),
        }
    }
}

/// Where a key for this purpose rests.
pub(super) const fn location(purpose: &str) -> Location<'_> {
    Location { table: "server_key", row: purpose.as_bytes(), column: "wrapped", epoch: 0 }
}
