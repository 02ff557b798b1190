//! Sealing with a key from the keyring: AES-256-GCM.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    rand,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

const KEY_BYTES: usize = 32; // AES-256.

/// A key that seals what belongs to one profile.
pub(super) struct SealingKey {
    key: RandomizedNonceKey,
}

impl SealingKey {
    /// The bytes of a new key.
    pub(super) fn generate() -> Result<[u8; KEY_BYTES], Unspecified> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn new(bytes: &[u8]) -> Result<Self, Unspecified> {
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, bytes)? })
    }

    /// The text, sealed. `context` is not sealed, but must be the same at [`open`](Self::open).
    pub(super) fn seal(&self, text: &[u8], context: &str) -> Result<String, Unspecified> {
        let mut buffer = text.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(context), &mut buffer)?;
        Ok(BASE64_STANDARD.encode([nonce.as_ref().as_slice(), &buffer].concat()))
    }

    /// What was sealed, if it was sealed with this key in this context and nobody changed it.
    pub(super) fn open(&self, sealed: &str, context: &str) -> Result<Vec<u8>, Unspecified> {
        let bytes = BASE64_STANDARD.decode(sealed).map_err(|_| Unspecified)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(Unspecified)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let mut buffer = rest.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(context), &mut buffer)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_what_is_unchanged() {
        let key = SealingKey::new(&[7; KEY_BYTES]).unwrap();
        let sealed = key.seal(b"tokens", "local").unwrap();
        assert!(!sealed.contains("tokens"));
        assert_eq!(key.open(&sealed, "local").unwrap(), b"tokens");
        assert!(key.open(&sealed, "prod").is_err());
        assert!(SealingKey::new(&[8; KEY_BYTES]).unwrap().open(&sealed, "local").is_err());
        let mut changed = BASE64_STANDARD.decode(&sealed).unwrap();
        changed[NONCE_LEN] ^= 1;
        assert!(key.open(&BASE64_STANDARD.encode(changed), "local").is_err());
        assert!(key.open("", "local").is_err());
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let key = SealingKey::new(&[7; KEY_BYTES]).unwrap();
        assert_ne!(key.seal(b"x", "c").unwrap(), key.seal(b"x", "c").unwrap());
    }
}
