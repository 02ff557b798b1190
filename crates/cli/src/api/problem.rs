//! Errors of the API: `application/problem+json` (RFC 9457).

use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use serde_json::json;

use crate::{
    error::{Error, Exit},
    output::{plain, request, span},
};

/// Why the API rejected a request.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    kind: String,
    pub(crate) request_id: Option<String>,
    errors: Vec<FieldError>,
    detail: String,
    retry_after: Option<Duration>,
}

/// One mistake in the request, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail: Option<String>,
    request_id: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

impl Problem {
    /// Parses the problem in a response. Of another body, such as a proxy's page, only the status counts.
    pub(super) fn parse(
        status: StatusCode,
        body: &[u8],
        request_id: Option<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let reason = || format!("the server responded with {status}");
        Self {
            status,
            kind: body.kind.unwrap_or_else(|| "about:blank".to_owned()),
            request_id: body.request_id.map(|id| plain(&id)).or(request_id),
            errors: body.errors,
            detail: body.detail.map_or_else(reason, |detail| plain(&detail)),
            retry_after,
        }
    }

    /// Whether another change came first.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.status, StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED)
    }

    fn exit(&self) -> Exit {
        match self.status {
            _ if self.is_conflict() => Exit::Conflict,
            StatusCode::TOO_MANY_REQUESTS => Exit::Unavailable,
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Exit::Unavailable,
            _ => Exit::Rejected,
        }
    }

    fn what(&self) -> String {
        if self.errors.is_empty() {
            return uncapitalized(self.detail.trim_end_matches('.'));
        }
        let mistakes = self.errors.iter().map(|error| {
            let place = plain(error.pointer.trim_start_matches('/'));
            format!("{place} {}", plain(error.detail.trim_end_matches('.')))
        });
        mistakes.collect::<Vec<_>>().join("; ")
    }

    fn next_step(&self) -> String {
        match self.status.as_u16() {
            400 | 413 | 415 | 422 => "Correct the request and try again.".to_owned(),
            403 => "Ask for access, or sign in as a user who has it.".to_owned(),
            404 => "List your items with `items list`.".to_owned(),
            409 if self.kind == "/problems/too-many-attachments" => {
                "Remove one with `items detach`.".to_owned()
            }
            409 | 412 | 428 => "Check it with `items show` and repeat the change.".to_owned(),
            501 => "Use another server.".to_owned(),
            _ => match self.retry_after {
                Some(wait) => format!("Try again in {}.", span(wait)),
                None => "Try again later.".to_owned(),
            },
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let what = format!("{}{}", problem.what(), request(problem.request_id.as_deref()));
        Error::new(problem.exit(), what, problem.next_step())
            .with_detail("status", problem.status.as_u16())
            .with_detail("type", problem.kind)
            .with_detail("request_id", problem.request_id)
            .with_detail("errors", json!(problem.errors))
    }
}

/// For use after a colon.
fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: u16, body: &str, retry_after: Option<u64>) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let retry_after = retry_after.map(Duration::from_secs);
        Error::from(Problem::parse(status, body.as_bytes(), Some("r1".into()), retry_after)).to_string()
    }

    #[test]
    fn problem_is_reported_with_its_request_id_and_what_to_do() {
        let body = r#"{"type":"about:blank","detail":"There is no such item.","request_id":"r2"}"#;
        assert_eq!(
            message(404, body, None),
            "there is no such item (request r2). List your items with `items list`."
        );
        let body = r#"{"detail":"x","errors":[{"pointer":"/title","detail":"must not be \u001b[2Jempty"}]}"#;
        assert_eq!(
            message(422, body, None),
            "title must not be  [2Jempty (request r1). Correct the request and try again."
        );
    }

    #[test]
    fn body_that_is_not_a_problem_is_reported_by_its_status() {
        assert_eq!(
            message(503, "<html>", Some(2)),
            "the server responded with 503 Service Unavailable (request r1). Try again in 2 seconds."
        );
    }
}
