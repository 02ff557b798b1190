//! The public keys of a user pool: what a JSON Web Key Set says, one key at a time.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::excerpt;

pub use self::fetch::{FetchCause, FetchError};
pub(crate) use self::jwk::PublicKey;
pub(crate) use self::source::KeySource;

mod fetch;
mod jwk;
pub(crate) mod source;

/// The usable keys of one set, by their `kid`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeySet {
    keys: Arc<HashMap<String, Arc<PublicKey>>>,
}

impl KeySet {
    /// Reads a set (RFC 7517, section 5). Keys that cannot serve here are skipped one by one, so that a key of a new
    /// kind does not take the others with it.
    ///
    /// # Errors
    ///
    /// [`JwksError::Syntax`] if it is not a key set, [`JwksError::NoUsableKey`] if every key was skipped.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, JwksError> {
        let document: Document<'_> = serde_json::from_slice(json).map_err(JwksError::syntax)?;
        let mut keys: HashMap<String, Option<Arc<PublicKey>>> = HashMap::new();
        for entry in document.keys {
            match jwk::read(entry) {
                Ok((kid, key)) => {
                    // Neither of two keys of one name can be told to be the right one.
                    keys.entry(kid).and_modify(|key| *key = None).or_insert_with(|| Some(Arc::new(key)));
                }
                Err(reason) => tracing::debug!(%reason, "skipped a key of the set"),
            }
        }
        for (kid, _) in keys.iter().filter(|(_, key)| key.is_none()) {
            tracing::warn!(kid = excerpt(kid), "skipped all keys of one kid");
        }
        let keys: HashMap<_, _> = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self { keys: Arc::new(keys) }) }
    }

    /// The key of exactly this name.
    pub(crate) fn key(&self, kid: &str) -> Option<&Arc<PublicKey>> {
        self.keys.get(kid)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Why a JSON Web Key Set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The text is not a JSON object with an array `keys`.
    #[error("not a JSON Web Key Set: line {line}, column {column}")]
    Syntax {
        /// The line of the first mistake, counted from 1.
        line: usize,
        /// The column of the first mistake, counted from 1.
        column: usize,
    },
    /// No key of the set is an RSA signing key of 2048 bits or more with a `kid` of its own.
    #[error("the set holds no usable RSA signing key")]
    NoUsableKey,
}

impl JwksError {
    /// The parser's message is dropped, because it can quote what a foreign server sent.
    fn syntax(error: serde_json::Error) -> Self {
        Self::Syntax { line: error.line(), column: error.column() }
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}
