//! The keys of one JSON Web Key Set.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::JwksError;
use super::jwk::{self, PublicKey};
use crate::json::excerpt;

/// The usable keys of one set, by their `kid`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeySet {
    keys: Arc<HashMap<String, Arc<PublicKey>>>,
}

impl KeySet {
    /// Parses a set (RFC 7517, section 5). Unusable keys are skipped one by one, so that a key of a new kind does not
    /// make the others unusable.
    ///
    /// # Errors
    ///
    /// [`JwksError::Syntax`] if the text is not a key set, [`JwksError::NoUsableKey`] if every key was skipped.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, JwksError> {
        let document: Document<'_> = serde_json::from_slice(json).map_err(JwksError::syntax)?;
        let mut keys: HashMap<String, Option<Arc<PublicKey>>> = HashMap::new();
        for entry in document.keys {
            match jwk::read(entry) {
                Ok((kid, key)) => {
                    // Nothing says which of two keys with one ID is the right one.
                    keys.entry(kid).and_modify(|key| *key = None).or_insert_with(|| Some(Arc::new(key)));
                }
                Err(reason) => tracing::debug!(%reason, "skipped a key of the set"),
            }
        }
        for (kid, _) in keys.iter().filter(|(_, key)| key.is_none()) {
            tracing::warn!(kid = excerpt(kid), "skipped all keys that share a kid");
        }
        let keys: HashMap<_, _> = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self { keys: Arc::new(keys) }) }
    }

    /// Returns the key with exactly this ID.
    pub(crate) fn key(&self, kid: &str) -> Option<&Arc<PublicKey>> {
        self.keys.get(kid)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}
