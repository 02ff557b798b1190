//! axum's extractors with this API's errors: a rejection becomes a [`Problem`] that names the wrong part.
//!
//! `clippy.toml` bans axum's own extractors, so that every route has the same errors.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::problem::{FieldError, Kind, Problem};

/// A JSON body of at most the configured size.
///
/// As a response it is the JSON of its value. Rejections: 415 for another media type, 413 for a body that is too large,
/// 400 for invalid JSON, 422 with a JSON pointer for JSON of another shape.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON merge patch (RFC 7396): `application/merge-patch+json`, or `application/json`.
#[derive(Debug)]
pub(crate) struct MergePatch<T>(pub(crate) T);

/// A form (`application/x-www-form-urlencoded`). Rejections: as of [`Json`], with the name of the wrong field.
pub(crate) struct Form<T>(pub(crate) T);

/// The path's parameters. A parameter that cannot be parsed names no resource: 404 with the expected form of an ID.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

/// The query's parameters. Rejection: 422 with the name of the wrong parameter.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_media_type(request.headers(), &["application/json"], None)?;
        parse(&body(request, state).await?).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MergePatch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        const ACCEPTED: [&str; 2] = ["application/merge-patch+json", "application/json"];
        require_media_type(
            request.headers(),
            &ACCEPTED,
            Some(HeaderValue::from_static("application/merge-patch+json")),
        )?;
        parse(&body(request, state).await?).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_media_type(request.headers(), &["application/x-www-form-urlencoded"], None)?;
        pairs(&body(request, state).await?, "form").map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[expect(clippy::disallowed_types, reason = "this is the wrapper")]
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        // The rejection quotes the path, which may contain text that a person typed: it is not logged.
        path.map(|path| Self(path.0)).map_err(|_| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "There is no such resource: an id in the path is not well formed.",
            )
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        pairs(parts.uri.query().unwrap_or_default().as_bytes(), "query").map(Self)
    }
}

fn pairs<T: DeserializeOwned>(text: &[u8], whole: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let name = error.path().to_string();
        Problem::invalid(vec![FieldError::new(
            if name == "." { whole.to_owned() } else { name },
            error.into_inner().to_string(),
        )])
    })
}

fn require_media_type(
    headers: &HeaderMap,
    accepted: &[&str],
    accept_patch: Option<HeaderValue>,
) -> Result<(), Problem> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    if accepted.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted)) {
        return Ok(());
    }
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("Send the body with the header `Content-Type: {}`.", accepted[0]),
    );
    // RFC 5789, section 2.2: the response to an unsupported patch format lists the supported ones.
    Err(match accept_patch {
        Some(formats) => problem.header(http::HeaderName::from_static("accept-patch"), formats),
        None => problem,
    })
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is larger than this server accepts.",
            );
        }
        Problem::new(StatusCode::BAD_REQUEST, "The body did not arrive whole.").cause(rejection)
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Every body of this API is an object. Without this check, serde would accept an array of the field values.
    if !body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(body).map_err(|error| not_json(&error))?;
        return Err(Problem::invalid(vec![FieldError::new("", "must be an object")]));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(rejected)?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// Parses an object that did not come as a body. The errors are those of a body.
pub(crate) fn from_object<T: DeserializeOwned>(
    object: serde_json::Map<String, serde_json::Value>,
) -> Result<T, Problem> {
    serde_path_to_error::deserialize(serde_json::Value::Object(object)).map_err(rejected)
}

fn rejected(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let pointer = pointer(error.path());
    let error = error.into_inner();
    match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let detail = text.split(" at line ").next().unwrap_or_default().to_owned();
            Problem::invalid(vec![FieldError::new(pointer, detail)])
        }
        _ => not_json(&error),
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let detail =
        format!("The body is not JSON, or ends too early: the mistake is at line {line}, column {column}.");
    Problem::new(StatusCode::BAD_REQUEST, detail).kind(Kind::InvalidRequest)
}

/// Formats the path as a JSON pointer (RFC 6901, section 3).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Seq { index } => format!("/{index}"),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => "/?".to_owned(),
        })
        .collect()
}
