//! The tokens that were verified already, by the hash of their whole text.

use std::hash::{BuildHasherDefault, Hasher};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::access_token::AccessToken;

/// A token counts once for each of these bytes of claims, so that the memory is bounded however large tokens are.
const BYTES_PER_PLACE: usize = 4 * 1024; // 4 KiB

/// Verified access tokens. Refused tokens are never kept, so that an attacker cannot fill it.
#[derive(Debug)]
pub(crate) struct TokenCache {
    entries: Option<Cache<TokenHash, CachedToken, Places, BuildHasherDefault<FirstBytes>>>,
}

/// SHA-256 of a token with its signature. Not the token itself: memory then holds no bearer secrets, and two tokens
/// share an entry only if somebody breaks SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; SHA256_OUTPUT_LEN]);

/// A verified token, and whose keys verified it.
#[derive(Debug, Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: AccessToken,
    /// The position of the pool in the verifier.
    pub(crate) pool: usize,
    /// The generation of the key set that verified the token.
    pub(crate) generation: u64,
}

impl TokenCache {
    /// A cache of this many tokens; zero switches it off.
    pub(crate) fn new(capacity: usize) -> Self {
        let options =
            OptionsBuilder::new().estimated_items_capacity(capacity).weight_capacity(capacity as u64).build();
        let create =
            |options| Cache::with_options(options, Places, Default::default(), DefaultLifecycle::default());
        Self { entries: options.ok().filter(|_| capacity > 0).map(create) }
    }

    /// The hash to look a token up by; nothing if the cache is off.
    pub(crate) fn hash(&self, raw: &str) -> Option<TokenHash> {
        self.entries.as_ref()?;
        digest(&SHA256, raw.as_bytes()).as_ref().try_into().ok().map(TokenHash)
    }

    pub(crate) fn get(&self, hash: &TokenHash) -> Option<CachedToken> {
        self.entries.as_ref()?.get(hash)
    }

    pub(crate) fn insert(&self, hash: TokenHash, token: CachedToken) {
        if let Some(entries) = &self.entries {
            entries.insert(hash, token);
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(entries) = &self.entries {
            entries.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Cache::len)
    }
}

#[derive(Debug, Clone)]
struct Places;

impl Weighter<TokenHash, CachedToken> for Places {
    fn weight(&self, _: &TokenHash, cached: &CachedToken) -> u64 {
        cached.token.payload_bytes().div_ceil(BYTES_PER_PLACE).max(1) as u64
    }
}

impl std::hash::Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// SHA-256 is uniform already, so the first bytes of it are as good as a hash of it.
#[derive(Debug, Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |&first| u64::from_ne_bytes(first));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::testing::TestPool;

    static POOL: LazyLock<TestPool> = LazyLock::new(TestPool::new);

    async fn cached(claim_bytes: usize) -> CachedToken {
        let large = serde_json::Value::from("x".repeat(claim_bytes));
        let raw = POOL.user("alice").claim("custom:large", large).access_token();
        let verifier = POOL.verifier_builder().max_token_bytes(1024 * 1024).build().unwrap();
        CachedToken { token: verifier.verify_access(&raw).await.unwrap(), pool: 0, generation: 0 }
    }

    fn hash(number: usize) -> TokenHash {
        static HASHES: LazyLock<TokenCache> = LazyLock::new(|| TokenCache::new(1));
        HASHES.hash(&number.to_string()).unwrap()
    }

    #[tokio::test]
    async fn a_million_distinct_tokens_take_no_more_places_than_there_are() {
        let cache = TokenCache::new(10_000);
        let token = cached(0).await;
        for number in 0..1_000_000 {
            cache.insert(hash(number), token.clone());
            assert!(cache.len() <= 10_000);
        }
        assert!(cache.len() > 9_000, "the places are used");
    }

    #[tokio::test]
    async fn large_tokens_take_several_places() {
        let cache = TokenCache::new(1_000);
        let token = cached(40 * BYTES_PER_PLACE - 1_000).await;
        for number in 0..1_000 {
            cache.insert(hash(number), token.clone());
        }
        assert!((1..=1_000 / 40).contains(&cache.len()), "{}", cache.len());
    }

    #[tokio::test]
    async fn hashes_are_of_the_whole_text() {
        let cache = TokenCache::new(10);
        let text = "x".repeat(10_000);
        assert_eq!(cache.hash(&text), cache.hash(&text.clone()));
        assert_ne!(cache.hash(&text), cache.hash(&format!("{}y", &text[1..])));
        assert_ne!(cache.hash(&text), cache.hash(&text[1..]));
        assert_eq!(TokenCache::new(0).hash(&text), None, "nothing is hashed for no cache");
    }
}
