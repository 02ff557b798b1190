//! Errors of the API: `application/problem+json` (RFC 9457).

use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{clock::span, error::request, output::plain};

/// What the API says is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    /// What kind it is, for programs.
    pub(crate) kind: String,
    pub(crate) request_id: Option<String>,
    pub(crate) errors: Vec<FieldError>,
    detail: String,
    retry_after: Option<Duration>,
}

/// One mistake in the request, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FieldError {
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
    /// The problem in an answer. One in another form, such as a proxy's page, is known by its status alone.
    pub(super) fn parse(
        status: StatusCode,
        body: &[u8],
        request_id: Option<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let reason = || format!("the server answered {status}");
        Self {
            status: status.as_u16(),
            kind: body.kind.unwrap_or_else(|| "about:blank".to_owned()),
            request_id: body.request_id.map(|id| plain(&id)).or(request_id),
            errors: body.errors,
            detail: body.detail.map_or_else(reason, |detail| plain(&detail)),
            retry_after,
        }
    }

    /// What happened, what to do next, and the request's id.
    pub(crate) fn sentence(&self) -> String {
        format!("{}: {}{}", self.what(), self.next_step(), request(self.request_id.as_ref()))
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
        match self.status {
            400 | 413 | 415 | 422 => "mend that and try again".to_owned(),
            403 => "ask for access, or sign in as somebody who has it".to_owned(),
            404 => "find what there is with `items list`".to_owned(),
            409 if self.kind == "/problems/too-many-attachments" => {
                "remove one with `items detach`".to_owned()
            }
            409 | 412 | 428 => "look at it with `items show` and repeat the change".to_owned(),
            501 => "use another server".to_owned(),
            _ => match self.retry_after {
                Some(wait) => format!("try again in {}", span(wait)),
                None => "try again later".to_owned(),
            },
        }
    }
}

/// A sentence that goes on after a colon.
fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(status: u16, body: &str, retry_after: Option<u64>) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Problem::parse(status, body.as_bytes(), Some("r1".into()), retry_after.map(Duration::from_secs))
            .sentence()
    }

    #[test]
    fn a_problem_is_one_sentence_with_a_next_step_and_the_id() {
        let body = r#"{"type":"about:blank","detail":"There is no such item.","request_id":"r2"}"#;
        assert_eq!(
            sentence(404, body, None),
            "there is no such item: find what there is with `items list` (request r2)"
        );
        let body = r#"{"detail":"x","errors":[{"pointer":"/title","detail":"must not be \u001b[2Jempty"}]}"#;
        assert_eq!(
            sentence(422, body, None),
            "title must not be  [2Jempty: mend that and try again (request r1)"
        );
    }

    #[test]
    fn a_foreign_answer_is_known_by_its_status() {
        assert_eq!(
            sentence(503, "<html>", Some(2)),
            "the server answered 503 Service Unavailable: try again in 2 s (request r1)"
        );
    }
}
