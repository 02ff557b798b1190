//! Values that a browser carries for this server: nobody else can read or change them, and they expire.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use crate::config::BrokerKey;

const NONCE_BYTES: usize = 12;

/// What a sealed value is for. One that was made for another purpose cannot be opened.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// The form of the consent page.
    Form,
    /// Cognito's `state`.
    State,
    /// The code that the client gets.
    Code,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Form => b"form",
            Self::State => b"state",
            Self::Code => b"code",
        }
    }

    /// How long the user, Cognito or the client has for its step.
    fn lifetime_seconds(self) -> i64 {
        match self {
            Self::Form | Self::State => 10 * 60, // 10 min
            Self::Code => 5 * 60,                // 5 min, as long as Cognito's code
        }
    }
}

/// Seals values with AES-256-GCM.
pub(super) struct Sealer(RandomizedNonceKey);

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    expires_at: i64,
    value: T,
}

impl Sealer {
    /// Derives the key for sealing. `None` if the library rejects it, which it does for no key of this length.
    pub(super) fn new(secret: &BrokerKey) -> Option<Self> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
        let key = hmac::sign(&secret, b"sign-in of MCP clients: AES-256-GCM, version 1");
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok().map(Self)
    }

    /// Seals a value. `None` only if there is no randomness.
    pub(super) fn seal(&self, purpose: Purpose, value: &impl Serialize) -> Option<String> {
        let expires_at = OffsetDateTime::now_utc().unix_timestamp() + purpose.lifetime_seconds();
        self.seal_until(purpose, value, expires_at)
    }

    fn seal_until(&self, purpose: Purpose, value: &impl Serialize, expires_at: i64) -> Option<String> {
        let mut bytes = serde_json::to_vec(&Sealed { expires_at, value }).ok()?;
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose.name()), &mut bytes).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &bytes].concat()))
    }

    /// Opens a value, unless it was changed, has expired or is for another purpose.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: Purpose, text: &str) -> Option<T> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.0.open_in_place(nonce, Aad::from(purpose.name()), sealed).ok()?;
        let Sealed { expires_at, value } = serde_json::from_slice(opened).ok()?;
        (OffsetDateTime::now_utc().unix_timestamp() < expires_at).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&BrokerKey::new(secret).unwrap()).unwrap()
    }

    #[test]
    fn only_the_unchanged_value_of_the_same_purpose_and_key_opens() {
        let sealer = sealer(&"k".repeat(32));
        let text = sealer.seal(Purpose::State, &"value").unwrap();
        assert!(!text.contains("value"));
        assert_eq!(sealer.open::<String>(Purpose::State, &text).as_deref(), Some("value"));
        assert_eq!(sealer.open::<String>(Purpose::Code, &text), None);
        assert_eq!(self::sealer(&"l".repeat(32)).open::<String>(Purpose::State, &text), None);
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(sealer.open::<String>(Purpose::State, &String::from_utf8(changed).unwrap()), None);
        }
        for text in ["", "A", &text[..20], &format!("{text}A")] {
            assert_eq!(sealer.open::<String>(Purpose::State, text), None);
        }
    }

    #[test]
    fn a_value_expires() {
        let (sealer, now) = (sealer(&"k".repeat(32)), OffsetDateTime::now_utc().unix_timestamp());
        let open = |expires_at| {
            let text = sealer.seal_until(Purpose::Form, &"value", expires_at).unwrap();
            sealer.open::<String>(Purpose::Form, &text).is_some()
        };
        assert!(open(now + 60));
        assert!(!open(now));
    }
}
