//! Checksums of uploads. s3s-fs compares them as well, but only after it has stored the file.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use aws_lc_rs::digest;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body::{Frame, SizeHint};

const SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// Rejects an upload whose bytes do not have the SHA-256 that its header announces:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
pub(crate) async fn reject_wrong_checksums(request: Request, next: Next) -> Response {
    let announced = request.headers().get(SHA256).cloned();
    // Bodies in chunks with signatures of their own are verified by s3s.
    let is_plain = !request.headers().contains_key(header::CONTENT_ENCODING);
    let Some(expected) = announced.filter(|_| is_plain) else { return next.run(request).await };
    let is_wrong = Arc::new(AtomicBool::new(false));
    let hash = digest::Context::new(&digest::SHA256);
    let verified = |body| Body::new(Verified { body, hash, expected, is_wrong: is_wrong.clone() });
    let response = next.run(request.map(verified)).await;
    if is_wrong.load(Ordering::Relaxed) {
        let error = "<Error><Code>BadDigest</Code><Message>The SHA-256 did not match.</Message></Error>";
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/xml")], error).into_response();
    }
    response
}

/// A body that fails at its end if it does not have the expected SHA-256.
struct Verified {
    body: Body,
    hash: digest::Context,
    expected: HeaderValue,
    is_wrong: Arc<AtomicBool>,
}

impl HttpBody for Verified {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.hash.update(data);
                }
            }
            None if STANDARD.encode(self.hash.clone().finish()) != self.expected => {
                self.is_wrong.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(axum::Error::new("the SHA-256 does not match"))));
            }
            _ => {}
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
