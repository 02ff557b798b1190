//! Verification of AWS Signature Version 4, by signing the request again.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;
use time::{PrimitiveDateTime, format_description::parse_borrowed};

/// How far the time of a signature may be from now, as in AWS.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60); // 5 min

/// Headers that the signature must cover. The time is part of every signature.
const REQUIRED: [&str; 2] = ["host", "x-amz-target"];

/// Why a request is not authenticated; named as DynamoDB's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureError {
    MissingAuthenticationToken,
    IncompleteSignature,
    UnrecognizedClient,
    InvalidSignature,
}

/// What the `Authorization` header says.
struct Authorization<'a> {
    access_key_id: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// Verifies that the owner of `credentials` signed this `POST /`.
///
/// # Errors
///
/// [`SignatureError`] names the reason.
pub(crate) fn verify(
    headers: &HeaderMap,
    body: &[u8],
    credentials: &Credentials,
) -> Result<(), SignatureError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text(header::AUTHORIZATION).ok_or(SignatureError::MissingAuthenticationToken)?;
    let parsed = parse(authorization).ok_or(SignatureError::IncompleteSignature)?;
    if parsed.access_key_id != credentials.access_key_id() {
        return Err(SignatureError::UnrecognizedClient);
    }
    let time = headers.get("x-amz-date").and_then(|date| date_time(date.to_str().ok()?));
    let time = time.ok_or(SignatureError::IncompleteSignature)?;
    let expected = signature(headers, body, &parsed, time, credentials);
    let expected = expected.ok_or(SignatureError::IncompleteSignature)?;
    let same = bool::from(expected.as_bytes().ct_eq(parsed.signature.as_bytes()));
    if same && is_recent(time) { Ok(()) } else { Err(SignatureError::InvalidSignature) }
}

fn parse(authorization: &str) -> Option<Authorization<'_>> {
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| fields.split(',').find_map(|part| part.trim().strip_prefix(name));
    let mut scope = field("Credential=")?.split('/');
    let (access_key_id, _date, region, service) =
        (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
    let signed_headers: Vec<_> = field("SignedHeaders=")?.split(';').collect();
    let complete = REQUIRED.iter().all(|name| signed_headers.contains(name));
    let signature = field("Signature=")?;
    complete.then_some(Authorization { access_key_id, region, service, signed_headers, signature })
}

fn date_time(text: &str) -> Option<SystemTime> {
    let format = parse_borrowed::<2>("[year][month][day]T[hour][minute][second]Z").ok()?;
    PrimitiveDateTime::parse(text, &format).ok().map(|time| time.assume_utc().into())
}

fn is_recent(time: SystemTime) -> bool {
    let now = SystemTime::now();
    let distance = now.duration_since(time).or_else(|_| time.duration_since(now));
    distance.is_ok_and(|distance| distance <= MAX_CLOCK_SKEW)
}

fn signature(
    headers: &HeaderMap,
    body: &[u8],
    authorization: &Authorization<'_>,
    time: SystemTime,
    credentials: &Credentials,
) -> Option<String> {
    let mut signed = Vec::new();
    for &name in authorization.signed_headers.iter().filter(|name| **name != "x-amz-date") {
        signed.push((name, headers.get(name)?.to_str().ok()?));
    }
    let url = format!("http://{}/", headers.get(header::HOST)?.to_str().ok()?);
    let mut settings = SigningSettings::default();
    // The client decides which headers it signs.
    settings.excluded_headers = None;
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(authorization.region)
        .name(authorization.service)
        .time(time)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let request = SignableRequest::new("POST", url, signed.into_iter(), SignableBody::Bytes(body)).ok()?;
    Some(sign(request, &params).ok()?.into_parts().1)
}
