//! How secrets rest in a store.
