//! The models of each account that runs were asked for with, until they are to be listed anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use xxhash_rust::xxh3::xxh3_128;

use super::models::BridgeModels;
use crate::threads::lock;

/// How long a list of models is good for.
pub(super) const FRESH: Duration = Duration::from_secs(600);

/// Of how many accounts lists are kept; one of another account takes the place of any.
const MOST: usize = 256;

/// An account's models, and when they were listed. Locked while they are asked for, so that they are
/// asked for once.
type AccountModels = Arc<tokio::sync::Mutex<Option<(Instant, Arc<BridgeModels>)>>>;

/// Lists by the digest of the key.
#[derive(Debug, Default)]
pub(super) struct Catalogs(Mutex<HashMap<u128, AccountModels>>);

impl Catalogs {
    /// The place of this key's list.
    pub fn of(&self, key: &str) -> AccountModels {
        let digest = xxh3_128(key.as_bytes());
        let mut lists = lock(&self.0);
        if lists.len() >= MOST && !lists.contains_key(&digest) {
            let any = lists.keys().next().copied();
            any.map(|any| lists.remove(&any));
        }
        Arc::clone(lists.entry(digest).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_for_each_key_and_not_for_too_many() {
        let lists = Catalogs::default();
        assert!(Arc::ptr_eq(&lists.of("a"), &lists.of("a")));
        assert!(!Arc::ptr_eq(&lists.of("a"), &lists.of("b")));
        for key in 0..1000 {
            lists.of(&key.to_string());
        }
        assert_eq!(lock(&lists.0).len(), MOST);
    }
}
