//! How the crate works: the [rules] of verification, the [key set](key_set) and the [policies].

#[doc = include_str!("guide/key_set.md")]
pub mod key_set {}

#[doc = include_str!("guide/policies.md")]
pub mod policies {}

#[doc = include_str!("guide/rules.md")]
pub mod rules {}
