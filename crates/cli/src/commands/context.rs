//! What all commands need.

use std::io::{self, Read as _};

use crate::{access::AccessTokens, api::Api, error::Error, output::Format, profile::Profile};

/// More than the API accepts for any text.
const MAX_INPUT_BYTES: u64 = 64 * 1024; // 64 KiB

/// The profile, its tokens and its API, and the format of results.
pub(super) struct Context<'a> {
    pub(super) profile: &'a Profile,
    pub(super) tokens: &'a AccessTokens<'a>,
    pub(super) api: Api<'a>,
    pub(super) format: Format,
}

/// Returns the text itself, or standard input for `-`.
pub(super) fn text_or_input(text: &str) -> Result<String, Error> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut input = String::new();
    let read = io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut input);
    read.map_err(Error::io("cannot read standard input as text"))?;
    Ok(input.trim_end_matches(['\r', '\n']).to_owned())
}
