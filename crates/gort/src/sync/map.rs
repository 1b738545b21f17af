//! The concurrent map: hash tables under gort's own readers-writer locks, one per shard.
//!
//! A key lives in one shard for good. The locks park, so `Hash`, `Eq` and `Clone` of keys and values may take as long
//! as they like; but they run with the shard locked, and must not use the same map. Everything else that belongs to
//! the user runs unlocked: the functions that are passed in, and the destructors of keys and values.
//!
//! [`Map::range`] copies one shard at a time and shows the copy. That is why the function it calls may do with the map
//! what it likes, and why no key is shown twice.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::mem;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::RwLock;
use super::spin::cpus;

/// A map for many goroutines: Go's `sync.Map` with the names of std's maps.
///
/// Look-ups in different shards do not meet, and look-ups in one shard share its lock. Values are given out as clones;
/// put large ones into an `Arc`. All methods take `&self`, and may park.
///
/// `Hash`, `Eq`, `PartialEq` and `Clone` of keys and values must not use the map they are in.
///
/// ```
/// use gort::sync::Map;
///
/// let ages = Map::new();
/// ages.insert("gopher", 15);
/// assert_eq!(ages.get("gopher"), Some(15));
/// assert_eq!(ages.get_or_insert_with("crab", || 10), 10);
/// assert!(ages.compare_and_swap("crab", &10, 11));
/// let mut names = Vec::new();
/// ages.range(|name, _age| {
///     names.push(*name);
///     true
/// });
/// names.sort();
/// assert_eq!(names, ["crab", "gopher"]);
/// assert_eq!(ages.remove("crab"), Some(11));
/// assert_eq!(ages.len(), 1);
/// ```
pub struct Map<K, V, S = RandomState> {
    hasher: S,
    /// A power of two of them.
    shards: Box<[Shard<K, V>]>,
}

/// Two cache lines, since processors fetch lines in pairs.
#[repr(align(128))]
struct Shard<K, V>(RwLock<HashTable<(K, V)>>);

impl<K: Hash + Eq, V> Map<K, V> {
    /// An empty map.
    pub fn new() -> Map<K, V> {
        Map::with_hasher(RandomState::new())
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Map<K, V, S> {
    /// An empty map that hashes with `hasher`.
    pub fn with_hasher(hasher: S) -> Map<K, V, S> {
        let shards = (cpus() * 4).next_power_of_two();
        Map { hasher, shards: (0..shards).map(|_| Shard(RwLock::new(HashTable::new()))).collect() }
    }

    /// Puts `value` in for `key`, and returns the one it replaces. Go's `Store` and `Swap`.
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        let mut table = self.shard(hash).0.write();
        match table.entry(hash, |(k, _)| *k == key, |(k, _)| self.hasher.hash_one(k)) {
            Entry::Occupied(mut slot) => {
                let old = mem::replace(&mut slot.get_mut().1, value);
                drop(table);
                Some(old)
            }
            Entry::Vacant(slot) => {
                slot.insert((key, value));
                None
            }
        }
    }

    /// The value for `key`. Go's `Load`.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).0.read().find(hash, |(k, _)| k.borrow() == key).map(|(_, v)| v.clone())
    }

    /// Whether there is a value for `key`.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).0.read().find(hash, |(k, _)| k.borrow() == key).is_some()
    }

    /// Takes the value for `key` out. Go's `LoadAndDelete`.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove_if(key, |_| true)
    }

    /// The value for `key`; if there is none, the one that `make` makes is put in. Go's `LoadOrStore`.
    ///
    /// `make` runs without a lock. If several callers find the key missing at a time each calls its function, one of
    /// the values is put in, and all callers get that one.
    pub fn get_or_insert_with<F>(&self, key: K, make: F) -> V
    where
        F: FnOnce() -> V,
        V: Clone,
    {
        if let Some(value) = self.get(&key) {
            return value;
        }
        let value = make();
        let hash = self.hasher.hash_one(&key);
        let mut table = self.shard(hash).0.write();
        match table.entry(hash, |(k, _)| *k == key, |(k, _)| self.hasher.hash_one(k)) {
            Entry::Occupied(slot) => {
                let winner = slot.get().1.clone();
                drop(table);
                winner
            }
            Entry::Vacant(slot) => {
                slot.insert((key, value.clone()));
                drop(table);
                value
            }
        }
    }

    /// Replaces the value for `key` by `new` if it equals `old`. False if it does not, or if there is none.
    pub fn compare_and_swap<Q>(&self, key: &Q, old: &V, new: V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: PartialEq,
    {
        let hash = self.hasher.hash_one(key);
        let mut table = self.shard(hash).0.write();
        let replaced = match table.find_mut(hash, |(k, _)| k.borrow() == key) {
            Some((_, value)) if value == old => Some(mem::replace(value, new)),
            _ => None,
        };
        drop(table);
        replaced.is_some()
    }

    /// Removes `key` if its value equals `old`. Go's `CompareAndDelete`.
    pub fn compare_and_remove<Q>(&self, key: &Q, old: &V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: PartialEq,
    {
        self.remove_if(key, |value| value == old).is_some()
    }

    /// Calls `visit` with each key and value until it returns false. Go's `Range`.
    ///
    /// Every key that is in the map throughout is shown, and none twice. Keys that come or go meanwhile may be shown or
    /// not, and a value may have been replaced when it is shown. `visit` may use the map.
    pub fn range<F>(&self, mut visit: F)
    where
        F: FnMut(&K, &V) -> bool,
        K: Clone,
        V: Clone,
    {
        for shard in &self.shards {
            let entries: Vec<(K, V)> = shard.0.read().iter().cloned().collect();
            if !entries.iter().all(|(key, value)| visit(key, value)) {
                return;
            }
        }
    }

    /// Removes everything that is in the map when its turn comes.
    pub fn clear(&self) {
        for shard in &self.shards {
            let gone = mem::take(&mut *shard.0.write());
            drop(gone);
        }
    }

    /// How many entries there are; in a map that others change meanwhile, roughly.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.read().len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.0.read().is_empty())
    }

    fn remove_if<Q>(&self, key: &Q, condition: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let mut table = self.shard(hash).0.write();
        let removed = match table.find_entry(hash, |(k, _)| k.borrow() == key) {
            Ok(slot) if condition(&slot.get().1) => Some(slot.remove().0),
            _ => None,
        };
        drop(table);
        removed.map(|(_key, value)| value)
    }

    /// The table uses the low bits for its slots and the highest seven for its tags: take some from between.
    fn shard(&self, hash: u64) -> &Shard<K, V> {
        &self.shards[(hash >> 40) as usize & (self.shards.len() - 1)]
    }
}

impl<K: Hash + Eq, V> Default for Map<K, V> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let map = Map::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<K, V, S> fmt::Debug for Map<K, V, S>
where
    K: Hash + Eq + Clone + fmt::Debug,
    V: Clone + fmt::Debug,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        self.range(|key, value| {
            map.entry(key, value);
            true
        });
        map.finish()
    }
}
