//! A key in memory that is never written to the swap.

use std::ops::Deref;

/// A value in locked memory. Copies that were made on the way here are not locked: they are wiped or overwritten, as far as the
/// compiler lets us.
#[derive(Debug)]
pub(super) struct Locked<T>(Box<T>);

impl<T> Locked<T> {
    /// Takes a value there.
    ///
    /// # Errors
    /// If this process may not lock another page.
    pub(super) fn new(value: T) -> region::Result<Self> {
        let value = Box::new(value);
        let lock = region::lock(std::ptr::from_ref(&*value), size_of::<T>())?;
        // Never unlocked: pages are locked as a whole, and another key may lie in this one by then. There are few keys.
        std::mem::forget(lock);
        Ok(Self(value))
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
