//! Key-encryption keys and a token: keys that never leave it, and keys that it wrapped for the store and unwraps at the start.

use rand::Rng as _;
use signer_core::{
    secret::SecretBytes,
    wrap::{Kek, KekId, Location, WrapError, Wrapped, associated_data},
};
use zeroize::Zeroizing;

use super::SecretError;
use crate::{
    hsm::{AesKey, Token, TokenError},
    ports::Random,
};

/// End of the label of the key that wraps key-encryption keys.
const WRAPPING: &str = "wrapping";

/// A key-encryption key in a token.
#[derive(Debug, Clone)]
pub(super) struct TokenKek {
    token: Token,
    generation: u32,
    id: KekId,
    key: AesKey,
}

impl TokenKek {
    /// Makes the key of a generation. Its id is random: nobody can hash the key.
    pub(super) async fn make(
        token: &Token,
        generation: u32,
        random: &dyn Random,
    ) -> Result<Self, TokenError> {
        let id = new_id(random);
        let key = token.make_aes(&label(generation), id.as_bytes().to_vec()).await?;
        Ok(Self { token: token.clone(), generation, id, key })
    }

    /// The key of a generation, which is looked for when it is used.
    pub(super) fn find(token: &Token, generation: u32, id: KekId) -> Self {
        let key = token.aes(&label(generation), id.as_bytes().to_vec());
        Self { token: token.clone(), generation, id, key }
    }

    pub(super) const fn id(&self) -> KekId {
        self.id
    }

    pub(super) async fn wrap(
        &self,
        location: &Location<'_>,
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Wrapped, SecretError> {
        wrap(&self.token, &self.key, self.id, location, secret, random).await
    }

    pub(super) async fn unwrap(
        &self,
        location: &Location<'_>,
        wrapped: &Wrapped,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        unwrap(&self.token, &self.key, location, wrapped).await
    }

    /// Does away with a key that was made in vain.
    pub(super) async fn destroy(self) {
        self.token.destroy(&label(self.generation), self.id.as_bytes().to_vec()).await;
    }
}

/// Draws the key of a generation, and has the token wrap it: by the key that wrapped `known`, one from before, or by a new one. A
/// key that merely lies there with this label may be anybody's.
pub(super) async fn draw(
    token: &Token,
    generation: u32,
    known: Option<&[u8]>,
    random: &dyn Random,
) -> Result<(Kek, Vec<u8>), TokenError> {
    let id = known.and_then(|known| Wrapped::from_bytes(known.to_vec()).ok()?.kek_id());
    let (id, key) = match id {
        Some(id) => (id, token.aes(WRAPPING, id.as_bytes().to_vec())),
        None => {
            let id = new_id(random);
            (id, token.make_aes(WRAPPING, id.as_bytes().to_vec()).await?)
        }
    };
    let secret = SecretBytes::<32>::random(&mut *random.rng());
    let row = generation.to_be_bytes();
    let wrapped = wrap(token, &key, id, &location(&row), secret.expose(), random).await;
    let wrapped = wrapped.map_err(|error| match error {
        SecretError::Token(error) => error,
        SecretError::Wrap(_) => TokenError::Altered,
    })?;
    Ok((Kek::new(secret), wrapped.as_bytes().to_vec()))
}

/// Has the token unwrap the key of a generation.
pub(super) async fn undraw(token: &Token, generation: u32, wrapped: &[u8]) -> Result<Kek, SecretError> {
    let wrapped = Wrapped::from_bytes(wrapped.to_vec())?;
    let id = wrapped.kek_id().ok_or(WrapError::Malformed)?;
    let key = token.aes(WRAPPING, id.as_bytes().to_vec());
    let bytes = unwrap(token, &key, &location(&generation.to_be_bytes()), &wrapped).await?;
    Ok(SecretBytes::from_slice(&bytes).map(Kek::new).ok_or(WrapError::Malformed)?)
}

async fn wrap(
    token: &Token,
    key: &AesKey,
    id: KekId,
    location: &Location<'_>,
    secret: &[u8],
    random: &dyn Random,
) -> Result<Wrapped, SecretError> {
    let mut nonce = [0; 12];
    random.rng().fill_bytes(&mut nonce);
    let secret = Zeroizing::new(secret.to_vec());
    let (nonce, body) = token.wrap(key, nonce, associated_data(id, location), secret).await?;
    Ok(Wrapped::from_parts(id, &nonce, &body)?)
}

async fn unwrap(
    token: &Token,
    key: &AesKey,
    location: &Location<'_>,
    wrapped: &Wrapped,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let (id, nonce, body) = wrapped.parts().ok_or(WrapError::Malformed)?;
    Ok(token.unwrap(key, nonce, associated_data(id, location), body.to_vec()).await?)
}

fn label(generation: u32) -> String {
    format!("kek {generation}")
}

fn new_id(random: &dyn Random) -> KekId {
    let mut id = [0; 4];
    random.rng().fill_bytes(&mut id);
    KekId::from_bytes(id)
}

const fn location(generation: &[u8; 4]) -> Location<'_> {
    Location { table: "kek", row: generation, column: "token_wrapped", epoch: 0 }
}
