//! Divides what all clients share, so that one of them cannot use it up.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts what each key (a caller, or the address of a client) holds of something. A clone counts the same.
#[derive(Debug)]
pub(crate) struct Shares<K: Eq + Hash> {
    each: usize,
    all: usize,
    held: Arc<Mutex<Held<K>>>,
}

/// Never more entries than shares.
#[derive(Debug)]
struct Held<K> {
    by_key: HashMap<K, usize>,
    total: usize,
}

/// An amount that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Eq + Hash> {
    shares: Shares<K>,
    key: K,
    amount: usize,
}

impl<K: Eq + Hash> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self { each: self.each, all: self.all, held: self.held.clone() }
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// Allows at most `each` for one key.
    pub(crate) fn new(each: usize) -> Self {
        Self::of(usize::MAX, each)
    }

    /// Allows at most `each` for one key and `all` for all keys together.
    pub(crate) fn of(all: usize, each: usize) -> Self {
        Self { each, all, held: Arc::new(Mutex::new(Held { by_key: HashMap::new(), total: 0 })) }
    }

    /// Takes an amount, if neither limit is exceeded then.
    pub(crate) fn take(&self, key: &K, amount: usize) -> Option<Share<K>> {
        let mut held = self.lock();
        let own = held.by_key.get(key).copied().unwrap_or_default();
        if amount > self.each.saturating_sub(own) || amount > self.all.saturating_sub(held.total) {
            return None;
        }
        held.by_key.insert(key.clone(), own + amount);
        held.total += amount;
        Some(Share { shares: self.clone(), key: key.clone(), amount })
    }
}

impl<K: Eq + Hash> Share<K> {
    /// Returns the key that holds it.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Eq + Hash> Shares<K> {
    /// Returns what all keys hold together.
    pub(crate) fn total(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        held.total -= self.amount;
        if let Some(own) = held.by_key.get_mut(&self.key) {
            *own -= self.amount;
            if *own == 0 {
                held.by_key.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_cannot_take_what_others_need() {
        let shares = Shares::of(10, 6);
        let first = shares.take(&"bob", 4);
        assert!(first.is_some());
        assert!(shares.take(&"bob", 3).is_none(), "more than one key may have");
        assert!(shares.take(&"alice", 7).is_none(), "more than one key may have");
        let second = shares.take(&"alice", 6);
        assert!(second.is_some());
        assert!(shares.take(&"carol", 1).is_none(), "more than there is");
        drop(first);
        assert!(shares.take(&"carol", 1).is_some());
        drop(second);
        assert_eq!(shares.total(), 0);
        assert!(shares.lock().by_key.is_empty());
    }
}
