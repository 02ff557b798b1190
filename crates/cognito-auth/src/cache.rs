//! The cache of verified tokens, by the hash of their whole text.

use std::hash::{BuildHasherDefault, Hasher};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::access_token::AccessToken;

/// The cache weight of a token: one unit per 4 KiB of claims, so that large tokens do not exceed the memory.
const BYTES_PER_UNIT: usize = 4 * 1024; // 4 KiB

/// Verified access tokens. Rejected tokens are not kept, so an attacker cannot fill the cache.
#[derive(Debug)]
pub(crate) struct TokenCache {
    entries: Option<Cache<TokenHash, CachedToken, Weight, BuildHasherDefault<FirstBytes>>>,
}

/// The SHA-256 of a token with its signature. Unlike the token it is not a secret, and two tokens share one only if
/// SHA-256 is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; SHA256_OUTPUT_LEN]);

/// A verified token, and the key set that verified it.
#[derive(Debug, Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: AccessToken,
    /// The pool's index in the verifier.
    pub(crate) pool: usize,
    /// The generation of the key set that verified the token.
    pub(crate) generation: u64,
}

impl TokenCache {
    /// Creates a cache for this many tokens; zero disables it.
    pub(crate) fn new(capacity: usize) -> Self {
        let options =
            OptionsBuilder::new().estimated_items_capacity(capacity).weight_capacity(capacity as u64).build();
        let create =
            |options| Cache::with_options(options, Weight, Default::default(), DefaultLifecycle::default());
        Self { entries: options.ok().filter(|_| capacity > 0).map(create) }
    }

    /// Returns the key of a token in the cache, or `None` if the cache is disabled.
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
struct Weight;

impl Weighter<TokenHash, CachedToken> for Weight {
    fn weight(&self, _: &TokenHash, cached: &CachedToken) -> u64 {
        cached.token.payload_bytes().div_ceil(BYTES_PER_UNIT).max(1) as u64
    }
}

impl std::hash::Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// Takes the first bytes of a SHA-256 as its hash, because they are distributed uniformly.
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
    async fn million_distinct_tokens_do_not_exceed_the_capacity() {
        let cache = TokenCache::new(10_000);
        let token = cached(0).await;
        for number in 0..1_000_000 {
            cache.insert(hash(number), token.clone());
            assert!(cache.len() <= 10_000);
        }
        assert!(cache.len() > 9_000, "the capacity is used");
    }

    #[tokio::test]
    async fn large_token_counts_as_several() {
        let cache = TokenCache::new(1_000);
        let token = cached(40 * BYTES_PER_UNIT - 1_000).await;
        for number in 0..1_000 {
            cache.insert(hash(number), token.clone());
        }
        assert!((1..=1_000 / 40).contains(&cache.len()), "{}", cache.len());
    }

    #[tokio::test]
    async fn hash_depends_on_the_whole_text() {
        let cache = TokenCache::new(10);
        let text = "x".repeat(10_000);
        assert_eq!(cache.hash(&text), cache.hash(&text.clone()));
        assert_ne!(cache.hash(&text), cache.hash(&format!("{}y", &text[1..])));
        assert_ne!(cache.hash(&text), cache.hash(&text[1..]));
        assert_eq!(TokenCache::new(0).hash(&text), None, "a disabled cache does not hash");
    }
}
