//! The bearer token in the headers of a request (RFC 6750, section 2.1).

use http::header::{AUTHORIZATION, HeaderMap};

/// The `Authorization` header occurs twice or cannot be parsed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Returns the token of `Authorization: Bearer <token>`, or `None` if the header is absent or has another scheme.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, Malformed> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // A proxy could take the other one of two.
    if values.next().is_some() {
        return Err(Malformed);
    }
    let value = str::from_utf8(value.as_bytes()).map_err(|_| Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !is_scheme(scheme) {
        return Err(Malformed);
    }
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    if is_b64token(token) { Ok(Some(token)) } else { Err(Malformed) }
}

/// The name of a scheme is a `token` (RFC 9110, sections 5.6.2 and 11.1).
fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750, section 2.1).
fn is_b64token(text: &str) -> bool {
    let is_symbol =
        |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let symbols = text.trim_end_matches('=');
    // Without an early exit the compiler vectorizes the loop, and a token is long.
    !symbols.is_empty() && symbols.bytes().fold(true, |all, byte| all & is_symbol(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values =
            values.iter().map(|value| (AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap()));
        values.collect()
    }

    #[test]
    fn scheme_is_case_insensitive() {
        for value in ["Bearer a.b-_~+/==", "bearer a.b-_~+/==", "BEARER  a.b-_~+/=="] {
            assert_eq!(bearer_token(&headers(&[value.as_bytes()])), Ok(Some("a.b-_~+/==")), "{value}");
        }
    }

    #[test]
    fn other_scheme_is_not_a_token() {
        assert_eq!(bearer_token(&headers(&[])), Ok(None));
        for value in ["Basic YTpi", "DPoP abc", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Digest a=\"b\", c=\"d\""] {
            assert_eq!(bearer_token(&headers(&[value.as_bytes()])), Ok(None), "{value}");
        }
    }

    #[test]
    fn ambiguous_headers_are_malformed() {
        for values in [
            &[b"Bearer a".as_slice(), b"Bearer a"][..],
            &[b"Bearer a", b"Basic b"],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer a b"],
            &[b"Bearer a, Bearer b"],
            &[b"Bearer\ta"],
            &[b"Bearer: a"],
            &[b"Bearer \"a\""],
            &[b"Bearer =a"],
            &[b"Bearer a=a"],
            &[b"Bearer \xff"],
        ] {
            assert_eq!(bearer_token(&headers(values)), Err(Malformed), "{values:?}");
        }
    }
}
