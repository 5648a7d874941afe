//! The one wrapper for secret values: wiped on drop, redacted in `Debug`, compared in constant time,
//! never `Clone`, `Copy` or `Serialize`.

use core::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret of type `T`. Reading it takes an explicit [`Secret::expose`], which is what a reviewer greps for.
pub struct Secret<T: Zeroize>(T);

/// A secret of `N` bytes: keys, seeds, tokens.
pub type SecretBytes<const N: usize> = Secret<[u8; N]>;

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of `value`; the caller must not keep a copy.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Do not copy it out, log it or compare it with `==`.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, for filling in place.
    #[must_use]
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<const N: usize> SecretBytes<N> {
    /// `N` fresh random bytes.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Self([0; N]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The secret with these bytes, or `None` if their number is not `N`.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        <[u8; N]>::try_from(bytes).ok().map(Self)
    }

    /// A second copy, where the protocol needs the value in two places. Named so that it stands out.
    #[must_use]
    pub const fn duplicate(&self) -> Self {
        Self(self.0)
    }

    /// Equality in time that does not depend on the values.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
