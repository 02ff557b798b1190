//! Idempotency keys.

/// The key of one create. Repeating the create with the same key creates nothing more.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A key of 1 to 255 visible ASCII characters.
    pub fn new(key: &str) -> Option<Self> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=255).contains(&key.len()) && is_visible).then(|| Self(key.to_owned()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
