//! Keys that sign test tokens, correctly or incorrectly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, RsaEncoding};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// An RSA key of 2048 bits, like the keys of a user pool.
#[derive(Debug, Clone)]
pub struct TestKey {
    kid: String,
    pair: Arc<KeyPair>,
}

/// How a test token is signed. It determines the header's `alg`, unless the test sets that.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, the only accepted algorithm.
    #[default]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256, with a new key for each token.
    Es256,
    /// HMAC with SHA-256 and this secret.
    Hs256(Vec<u8>),
    /// No signature (RFC 7519, section 6).
    None,
}

impl TestKey {
    /// Generates a key with this ID.
    #[must_use]
    pub fn generate(kid: impl Into<String>) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be generated");
        Self { kid: kid.into(), pair: Arc::new(pair) }
    }

    /// Returns the key with this ID that the whole process shares, because generating one is slow.
    pub(super) fn shared(kid: String) -> Self {
        static KEYS: Mutex<BTreeMap<String, TestKey>> = Mutex::new(BTreeMap::new());
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        keys.entry(kid.clone()).or_insert_with(|| Self::generate(kid)).clone()
    }

    /// Returns the same key with another ID.
    #[must_use]
    pub fn with_kid(&self, kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), pair: Arc::clone(&self.pair) }
    }

    /// Returns the key's ID.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the public key as Cognito publishes it.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let key = self.pair.public_key();
        json!({
            "alg": "RS256",
            "e": BASE64_URL_SAFE_NO_PAD.encode(key.exponent().big_endian_without_leading_zero()),
            "kid": self.kid,
            "kty": "RSA",
            "n": BASE64_URL_SAFE_NO_PAD.encode(key.modulus().big_endian_without_leading_zero()),
            "use": "sig",
        })
    }

    /// Returns the public key in DER (PKCS #1), for tests that misuse it as an HMAC secret.
    #[must_use]
    pub fn public_der(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// Signs a message with this algorithm.
    #[must_use]
    pub fn sign(&self, algorithm: &Algorithm, message: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::Rs256 => self.rsa(&signature::RSA_PKCS1_SHA256, message),
            Algorithm::Rs384 => self.rsa(&signature::RSA_PKCS1_SHA384, message),
            Algorithm::Rs512 => self.rsa(&signature::RSA_PKCS1_SHA512, message),
            Algorithm::Ps256 => self.rsa(&signature::RSA_PSS_SHA256, message),
            Algorithm::Es256 => ecdsa(message),
            Algorithm::Hs256(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
            Algorithm::None => Vec::new(),
        }
    }

    fn rsa(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("the key can sign");
        signature
    }
}

impl Algorithm {
    /// Returns the value of `alg` (RFC 7518, section 3.1).
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Hs256(_) => "HS256",
            Self::None => "none",
        }
    }
}

fn ecdsa(message: &[u8]) -> Vec<u8> {
    let pair = signature::EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    let pair = pair.expect("an elliptic curve key can be generated");
    pair.sign(&SystemRandom::new(), message).expect("the key can sign").as_ref().to_vec()
}
