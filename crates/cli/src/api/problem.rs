//! Errors of the API: `application/problem+json` (RFC 9457).

use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    error::{Error, Exit},
    output::{plain, request, span},
};

/// The body of a response that reports a problem.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail: Option<String>,
    request_id: Option<String>,
    errors: Vec<FieldError>,
}

/// A mistake in the request and its place.
#[derive(Serialize, Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

/// Returns the error that a response reports. If its body is not a problem, such as a proxy's page, only the status
/// counts.
pub(super) fn error(
    status: StatusCode,
    body: &[u8],
    request_id: Option<String>,
    retry_after: Option<Duration>,
) -> Error {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let request_id = problem.request_id.as_deref().map(plain).or(request_id);
    let kind = problem.kind.as_deref().unwrap_or("about:blank");
    let what = format!("{}{}", problem.what(status), request(request_id.as_deref()));
    Error::new(exit(status), what, next_step(status, kind, retry_after))
        .with_detail("status", status.as_u16())
        .with_detail("type", kind)
        .with_detail("request_id", request_id)
        .with_detail("errors", json!(problem.errors))
}

impl Problem {
    /// Says what is wrong, for use after a colon.
    fn what(&self, status: StatusCode) -> String {
        let mistakes = self.errors.iter().map(|error| {
            let place = plain(error.pointer.trim_start_matches('/'));
            format!("{place} {}", plain(error.detail.trim_end_matches('.')))
        });
        match &self.detail {
            _ if !self.errors.is_empty() => mistakes.collect::<Vec<_>>().join("; "),
            Some(detail) => uncapitalized(plain(detail).trim_end_matches('.')),
            None => format!("the server responded with {status}"),
        }
    }
}

fn exit(status: StatusCode) -> Exit {
    match status {
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
        StatusCode::TOO_MANY_REQUESTS => Exit::Unavailable,
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Exit::Unavailable,
        _ => Exit::Rejected,
    }
}

fn next_step(status: StatusCode, kind: &str, retry_after: Option<Duration>) -> String {
    let step = match status.as_u16() {
        400 | 413 | 415 | 422 => "Correct the request and try again.",
        403 => "Ask for access, or sign in as a user who has it.",
        404 => "List your items with `items list`.",
        409 if kind == "/problems/too-many-attachments" => "Remove one with `items detach`.",
        409 | 412 | 428 => "Check it with `items show` and repeat the change.",
        501 => "Use another server.",
        _ => {
            return retry_after
                .map_or("Try again later.".to_owned(), |wait| format!("Try again in {}.", span(wait)));
        }
    };
    step.to_owned()
}

fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_server_cannot_control_the_terminal() {
        let body = r#"{"errors":[{"pointer":"/title","detail":"must not be \u001b[2Jempty."}]}"#;
        let error = error(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes(), Some("r1".into()), None);
        let expected = "title must not be  [2Jempty (request r1). Correct the request and try again.";
        assert_eq!(error.to_string(), expected);
    }
}
