//! Client authentication.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::OAuthError;
use crate::directory::{Client, Directory};
use crate::http::params::Params;

/// Authenticates the client by `client_secret_basic`, `client_secret_post`, or not at all when it is public (RFC 6749,
/// section 2.3).
pub(super) fn authenticate(
    directory: &Directory,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    match basic_credentials(headers)? {
        Some(basic) => authenticate_basic(directory, &basic, params),
        None => authenticate_body(directory, params),
    }
}

struct Basic {
    id: String,
    secret: String,
}

/// Reads the header by hand: `headers::Authorization` ignores a second header.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<Basic>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed =
        || OAuthError::invalid_request("the Authorization header must be one `Basic <base64(id:secret)>`");
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, credentials) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (id, secret) = decoded.as_deref().and_then(|pair| pair.split_once(':')).ok_or_else(malformed)?;
    Ok(Some(Basic { id: id.to_owned(), secret: secret.to_owned() }))
}

/// Tries the credentials as sent and then form-decoded: RFC 6749, section 2.3.1 requires the encoding, but many clients do
/// not encode.
fn authenticate_basic(
    directory: &Directory,
    basic: &Basic,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    if params.get("client_secret").is_some() {
        return Err(OAuthError::invalid_request(
            "the client authenticates twice: use the header or the body",
        ));
    }
    let readings =
        [(basic.id.clone(), basic.secret.clone()), (form_decoded(&basic.id), form_decoded(&basic.secret))];
    let client = readings
        .iter()
        .find_map(|(id, secret)| directory.client(id).filter(|client| client.has_secret(secret)));
    let client = client.ok_or_else(OAuthError::invalid_client)?;
    match params.get("client_id") {
        Some(id) if id != client.id => Err(OAuthError::invalid_client()),
        _ => Ok(Arc::clone(client)),
    }
}

fn authenticate_body(directory: &Directory, params: &Params) -> Result<Arc<Client>, OAuthError> {
    let id = params.get("client_id").ok_or_else(|| OAuthError::invalid_request("client_id is missing"))?;
    let client = directory.client(id).ok_or_else(OAuthError::invalid_client)?;
    let proven = match params.get("client_secret") {
        Some(secret) => client.has_secret(secret),
        None => client.is_public(),
    };
    if proven { Ok(Arc::clone(client)) } else { Err(OAuthError::invalid_client()) }
}

fn form_decoded(text: &str) -> String {
    // Encoded text contains no `=` or `&`, so all of it is the first name of a form.
    url::form_urlencoded::parse(text.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}
