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
use serde::Serialize;
use serde_json::{Value, json};

use crate::store::keys::StoredKey;
use crate::store::{self, Store, StoreError};

/// What a key signs: Cognito has one for access tokens and another for ID tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenUse {
    Access,
    Id,
}

impl TokenUse {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}

/// Introduces new signing keys in the pool kept in `file`, which may be in use by another process; see
/// [`LocalPool::rotate_keys`](crate::LocalPool::rotate_keys).
///
/// # Errors
/// [`StoreError`] when there is no such file, or the keys cannot be made or kept.
pub async fn rotate_keys(file: &Path) -> Result<(), StoreError> {
    KeyRing::new(Store::open_existing(file)?).rotate().await
}

/// Withdraws the signing keys that do not sign any more; see
/// [`LocalPool::withdraw_old_keys`](crate::LocalPool::withdraw_old_keys).
///
/// # Errors
/// [`StoreError`] when there is no such file, or the keys cannot be removed.
pub async fn withdraw_old_keys(file: &Path) -> Result<usize, StoreError> {
    KeyRing::new(Store::open_existing(file)?).withdraw_old().await
}

/// A key of the pool.
pub(crate) struct SigningKey {
    kid: String,
    token_use: TokenUse,
    pair: RsaKeyPair,
}

/// The pool's keys. They are read from the store each time, since `rotate-keys` runs in a process of its own; parsing
/// them, which is the costly part, is done once.
#[derive(Clone)]
pub(crate) struct KeyRing {
    store: Store,
    parsed: Arc<Mutex<HashMap<String, Arc<SigningKey>>>>,
}

impl SigningKey {
    /// A new key, with what the store keeps of it.
    pub(crate) fn generate(token_use: TokenUse) -> Result<StoredKey, StoreError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
        Ok(StoredKey { kid: thumbprint(&pair)?, token_use, pkcs8: pkcs8.as_ref().to_vec() })
    }

    fn parse(stored: &StoredKey) -> Result<Self, StoreError> {
        let pair = RsaKeyPair::from_pkcs8(&stored.pkcs8).map_err(|_| StoreError::Damaged("signing key"))?;
        Ok(Self { kid: stored.kid.clone(), token_use: stored.token_use, pair })
    }

    /// A compact JWS of `claims`, with the header that Cognito writes: `kid` and `alg`, nothing else.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let header = json!({ "kid": self.kid, "alg": "RS256" });
        let mut token = format!("{}.{}", segment(&header)?, segment(claims)?);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(message, signature)
            .is_ok()
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn token_use(&self) -> TokenUse {
        self.token_use
    }

    /// The public half, with the members that Cognito publishes.
    fn jwk(&self) -> Value {
        let (modulus, exponent) = components(&self.pair);
        json!({ "alg": "RS256", "e": exponent, "kid": self.kid, "kty": "RSA", "n": modulus, "use": "sig" })
    }
}

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("the claims are not JSON")]
    Json(#[from] serde_json::Error),
    #[error("the signature failed")]
    Crypto(#[from] Unspecified),
}

fn segment(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?))
}

/// Modulus and exponent as a JWK has them (RFC 7518 §6.3.1).
fn components(pair: &RsaKeyPair) -> (String, String) {
    let key = pair.public_key();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    (
        encode(key.modulus().big_endian_without_leading_zero()),
        encode(key.exponent().big_endian_without_leading_zero()),
    )
}

/// The key's id: its RFC 7638 thumbprint, in the alphabet that Cognito uses (with `+`, `/` and `=`).
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

    /// The key that signs tokens of this use now.
    pub(crate) async fn current(&self, token_use: TokenUse) -> Result<Arc<SigningKey>, StoreError> {
        let last = self.all().await?.into_iter().rfind(|key| key.token_use == token_use);
        last.ok_or(StoreError::Damaged("signing key"))
    }

    /// Introduces a new key for each use, which signs from now on; the keys before stay published.
    pub(crate) async fn rotate(&self) -> Result<(), StoreError> {
        let new = tokio::task::spawn_blocking(|| {
            [TokenUse::Id, TokenUse::Access]
                .map(SigningKey::generate)
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
        });
        let new = new.await.map_err(|_| StoreError::Stopping)??;
        self.store.write(move |tx| new.iter().try_for_each(|key| store::keys::insert(tx, key))).await
    }

    /// Withdraws the keys that do not sign any more, and tells how many.
    pub(crate) async fn withdraw_old(&self) -> Result<usize, StoreError> {
        self.store.write(|tx| store::keys::delete_all_but_last(tx)).await
    }

    /// The key set as it is published: `{"keys": […]}`.
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
