//! Pages of lists. The token of the next page is the last key of this one, so the pool keeps no state for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::input::{Input, violation};
use crate::refusal::Refusal;

/// Most entries of a page (Cognito API Reference, `Limit`), and how many there are without a limit.
const MOST: usize = 60;

/// Which page a request asks for.
pub(super) struct PageRequest {
    /// The key after which it begins.
    pub(super) after: String,
    pub(super) limit: usize,
}

impl PageRequest {
    /// Reads the limit and the token from the members with these names.
    pub(super) fn read(input: &Input, limit: &str, token: &str) -> Result<Self, Refusal> {
        let wanted = input.number(limit)?.unwrap_or_default();
        let limit = match usize::try_from(wanted) {
            Ok(0) => MOST,
            Ok(wanted) if wanted <= MOST => wanted,
            _ => {
                return Err(violation(
                    limit,
                    &format!("Member must have value less than or equal to {MOST}"),
                ));
            }
        };
        let after = match input.text(token)? {
            None => String::new(),
            Some(text) => decoded(text).ok_or_else(|| Refusal::invalid_parameter("Invalid token"))?,
        };
        Ok(Self { after, limit })
    }

    /// One entry more than the page has says whether there is another page.
    pub(super) fn limit_and_one(&self) -> usize {
        self.limit + 1
    }

    /// Cuts the list to the page, and adds the token of the next page to the output if there is one.
    pub(super) fn finish<T>(
        &self,
        output: &mut Value,
        token: &str,
        mut entries: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Vec<T> {
        if entries.len() > self.limit {
            entries.truncate(self.limit);
            output[token] = entries.last().map(|last| URL_SAFE_NO_PAD.encode(key(last))).into();
        }
        entries
    }
}

fn decoded(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
