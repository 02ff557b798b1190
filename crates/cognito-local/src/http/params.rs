//! Parameters of a query or a form, as OAuth 2.0 defines them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// Parameters by name. One without a value counts as absent, and none occurs twice (RFC 6749, section 3.1).
#[derive(Default)]
pub(crate) struct Params(Vec<(String, String)>);

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ParamsError {
    #[error("`{0}` occurs twice")]
    Duplicate(String),
    #[error("the body must be application/x-www-form-urlencoded, of at most 64 KiB")]
    Body,
}

impl Params {
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, ParamsError> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(encoded) {
            if value.is_empty() {
                continue;
            }
            if params.iter().any(|(known, _)| *known == name) {
                return Err(ParamsError::Duplicate(name.chars().take(64).collect()));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Returns the text of a form field, or an empty string.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// The parameters of a posted form.
pub(crate) struct Form(pub(crate) Params);

impl IntoResponse for ParamsError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ParamsError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ParamsError> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(ParamsError::Body);
        }
        let body = Bytes::from_request(request, state).await.map_err(|_| ParamsError::Body)?;
        Params::parse(&body).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_empty_values_are_absent() {
        let params = Params::parse(b"a=1+2&b=%C3%A9&c=&a2").unwrap();
        assert_eq!((params.get("a"), params.get("b")), (Some("1 2"), Some("é")));
        assert_eq!((params.get("c"), params.get("a2"), params.get("x")), (None, None, None));
    }

    #[test]
    fn duplicate_parameter_is_rejected() {
        assert!(matches!(Params::parse(b"a=1&b=2&a=3"), Err(ParamsError::Duplicate(name)) if name == "a"));
    }
}
