//! The keys that sign tokens.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, error::Unspecified};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};

use crate::models::{StoredKey, TokenUse};
use crate::store::{self, Store, StoreError};

/// Creates new signing keys in the pool in `file`, which another process may be using; see
/// [`LocalPool::rotate_keys`](crate::LocalPool::rotate_keys).
///
/// # Errors
/// [`StoreError`] when the file does not exist, or the keys cannot be created or stored.
pub async fn rotate_keys(file: &Path) -> Result<(), StoreError> {
    KeyRing::new(Store::open_existing(file)?).rotate().await
}

/// Deletes the signing keys that no longer sign; see
/// [`LocalPool::withdraw_old_keys`](crate::LocalPool::withdraw_old_keys).
///
/// # Errors
/// [`StoreError`] when the file does not exist, or the keys cannot be deleted.
pub async fn withdraw_old_keys(file: &Path) -> Result<usize, StoreError> {
    KeyRing::new(Store::open_existing(file)?).withdraw_old().await
}

/// A signing key of the pool.
pub(crate) struct SigningKey {
    kid: String,
    token_use: TokenUse,
    pair: RsaKeyPair,
}

/// The keys of the pool. They are read from the store at each use, because `rotate-keys` runs in its own process; each is
/// parsed only once, because that is expensive.
#[derive(Clone)]
pub(crate) struct KeyRing {
    store: Store,
    parsed: Arc<Mutex<HashMap<String, Arc<SigningKey>>>>,
}

impl SigningKey {
    /// Generates a key.
    fn generate(token_use: TokenUse) -> Result<StoredKey, StoreError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
        Ok(StoredKey { kid: thumbprint(&pair)?, token_use, pkcs8: pkcs8.as_ref().to_vec() })
    }

    fn parse(stored: &StoredKey) -> Result<Self, StoreError> {
        let pair = RsaKeyPair::from_pkcs8(&stored.pkcs8).map_err(|_| StoreError::Damaged("signing key"))?;
        Ok(Self { kid: stored.kid.clone(), token_use: stored.token_use, pair })
    }

    /// Returns a compact JWS of `claims`, with the header that Cognito writes: only `kid` and `alg`.
    ///
    /// `jsonwebtoken` signs only with PKCS #1 keys, which it parses for each signature; the stored keys are PKCS #8.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let header = json!({ "kid": self.kid, "alg": "RS256" });
        let mut token = format!("{}.{}", segment(&header)?, segment(claims)?);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Returns the key that verifies the signatures of this one.
    pub(crate) fn decoding_key(&self) -> DecodingKey {
        DecodingKey::from_rsa_der(self.pair.public_key().as_ref())
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn token_use(&self) -> TokenUse {
        self.token_use
    }

    /// Returns the public key with the members that Cognito publishes.
    fn jwk(&self) -> Value {
        let (modulus, exponent) = components(&self.pair);
        json!({ "alg": "RS256", "e": exponent, "kid": self.kid, "kty": "RSA", "n": modulus, "use": "sig" })
    }
}

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("cannot write the claims as JSON")]
    Json(#[from] serde_json::Error),
    #[error("cannot sign the token")]
    Crypto(#[from] Unspecified),
}

fn segment(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?))
}

/// Returns modulus and exponent as in a JWK (RFC 7518, section 6.3.1).
fn components(pair: &RsaKeyPair) -> (String, String) {
    let key = pair.public_key();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    (
        encode(key.modulus().big_endian_without_leading_zero()),
        encode(key.exponent().big_endian_without_leading_zero()),
    )
}

/// Returns the ID of the key: its RFC 7638 thumbprint, in the base64 alphabet that Cognito uses.
fn thumbprint(pair: &RsaKeyPair) -> Result<String, StoreError> {
    let (n, e) = components(pair);
    let members = serde_json::to_string(&json!({ "e": e, "kty": "RSA", "n": n }))
        .map_err(|_| StoreError::Damaged("signing key"))?;
    Ok(STANDARD.encode(digest::digest(&digest::SHA256, members.as_bytes())))
}

impl KeyRing {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, parsed: Arc::default() }
    }

    /// Returns the key that signs tokens of this use.
    pub(crate) async fn current(&self, token_use: TokenUse) -> Result<Arc<SigningKey>, StoreError> {
        let last = self.all().await?.into_iter().rfind(|key| key.token_use == token_use);
        last.ok_or(StoreError::Damaged("signing key"))
    }

    /// Creates the first keys of a new pool, in the caller's transaction.
    pub(crate) fn init(tx: &Connection) -> Result<(), StoreError> {
        if store::keys::all(tx)?.is_empty() { insert_new_keys(tx, &new_keys()?) } else { Ok(()) }
    }

    /// Creates a new key for each use. It signs from now on; the older keys stay published.
    pub(crate) async fn rotate(&self) -> Result<(), StoreError> {
        let keys = tokio::task::spawn_blocking(new_keys).await.map_err(|_| StoreError::Stopping)??;
        self.store.write(move |tx| insert_new_keys(tx, &keys)).await
    }

    /// Deletes the keys that no longer sign, and returns how many it deleted.
    pub(crate) async fn withdraw_old(&self) -> Result<usize, StoreError> {
        self.store.write(|tx| store::keys::delete_all_but_last(tx)).await
    }

    /// Returns the published key set: `{"keys": […]}`.
    pub(crate) async fn jwks(&self) -> Result<Value, StoreError> {
        let keys: Vec<Value> = self.all().await?.iter().map(|key| key.jwk()).collect();
        Ok(json!({ "keys": keys }))
    }

    pub(crate) async fn all(&self) -> Result<Vec<Arc<SigningKey>>, StoreError> {
        let stored = self.store.read(store::keys::all).await?;
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        parsed.retain(|kid, _| stored.iter().any(|key| key.kid == *kid));
        stored
            .iter()
            .map(|key| {
                if let Some(known) = parsed.get(&key.kid) {
                    return Ok(Arc::clone(known));
                }
                let new = Arc::new(SigningKey::parse(key)?);
                parsed.insert(key.kid.clone(), Arc::clone(&new));
                Ok(new)
            })
            .collect()
    }
}

fn new_keys() -> Result<Vec<StoredKey>, StoreError> {
    [TokenUse::Id, TokenUse::Access].into_iter().map(SigningKey::generate).collect()
}

fn insert_new_keys(tx: &Connection, keys: &[StoredKey]) -> Result<(), StoreError> {
    keys.iter().try_for_each(|key| store::keys::insert(tx, key))
}
