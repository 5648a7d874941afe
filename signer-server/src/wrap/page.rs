//! A key in a page of memory that is never written to the swap.

use std::ops::Deref;

use region::LockGuard;

/// Alone in its page: pages are locked and unlocked as a whole.
#[repr(align(4096))]
#[derive(Debug)]
struct Alone<T>(T);

/// A value in locked memory. Copies that were made on the way here are not: they are wiped or overwritten, as far as the
/// compiler lets us.
pub(super) struct OwnPage<T> {
    value: Box<Alone<T>>,
    /// Dropped after the value, which wipes itself while it is still locked.
    _lock: LockGuard,
}

impl<T> OwnPage<T> {
    /// Takes a value there.
    ///
    /// # Errors
    /// If this process may not lock another page.
    pub(super) fn new(value: T) -> region::Result<Self> {
        let value = Box::new(Alone(value));
        let lock = region::lock(std::ptr::from_ref(&*value), size_of::<Alone<T>>())?;
        Ok(Self { value, _lock: lock })
    }
}

impl<T> Deref for OwnPage<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value.0
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for OwnPage<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.0.fmt(f)
    }
}
