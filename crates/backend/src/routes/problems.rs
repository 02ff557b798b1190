//! The one table from the errors of the domain to their problems.

use http::StatusCode;

use crate::{
    domain::Error,
    problem::{FieldError, Kind, Problem},
    services::{dynamodb::StoreError, s3::BucketError},
};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::ItemNotFound => Self::not_found("item"),
            Error::AttachmentNotFound => Self::not_found("attachment"),
            Error::ProfileNotFound => Self::not_found("profile"),
            Error::VersionConflict => version_conflict(),
            Error::InvalidCursor => invalid_cursor(),
            Error::IdempotencyKeyReused => idempotency_key_reused(),
            Error::IdempotencyKeyInFlight => idempotency_key_in_flight(),
            Error::AttachmentTooLarge { max_bytes } => {
                Self::invalid(vec![FieldError::new("/size", format!("must be at most {max_bytes} bytes"))])
            }
            Error::TooManyAttachments { limit } => {
                let detail = format!("An item may have {limit} attachments. Remove one first.");
                Self::new(StatusCode::CONFLICT, detail).kind(Kind::TooManyAttachments)
            }
            Error::QuotaExceeded { files, bytes } => quota_exceeded(files, bytes),
            Error::AttachmentsNotConfigured => {
                Self::new(StatusCode::NOT_IMPLEMENTED, "This server keeps no attachments.")
            }
            Error::Panicked => Self::panicked(),
            Error::Store(error) => error.into(),
            Error::Bucket(error) => error.into(),
        }
    }
}

fn version_conflict() -> Problem {
    let detail =
        "The resource has another version by now. Read it again and apply the change to what it is now.";
    Problem::new(StatusCode::PRECONDITION_FAILED, detail).kind(Kind::VersionConflict)
}

/// Without a quota, a number is the largest there is.
fn quota_exceeded(files: u64, bytes: u64) -> Problem {
    let quota = match (files, bytes) {
        (files, u64::MAX) => format!("{files} attachments"),
        (u64::MAX, bytes) => format!("{bytes} bytes of attachments"),
        (files, bytes) => format!("{files} attachments with {bytes} bytes in all"),
    };
    let detail = format!(
        "Your quota is {quota}. Remove some first; those that were created less than an hour ago may count a little \
         longer."
    );
    Problem::new(StatusCode::CONFLICT, detail).kind(Kind::QuotaExceeded)
}

fn invalid_cursor() -> Problem {
    let detail = "must be the `next_cursor` of a page of this list; leave it out for the first page";
    Problem::invalid(vec![FieldError::new("cursor", detail)])
}

fn idempotency_key_reused() -> Problem {
    let detail = "was used with another body; use a new key for a new item";
    Problem::invalid(vec![FieldError::new("Idempotency-Key", detail)]).kind(Kind::IdempotencyKeyReused)
}

fn idempotency_key_in_flight() -> Problem {
    let detail = "A request with this idempotency key is still being handled; repeat this one in a second.";
    Problem::new(StatusCode::CONFLICT, detail).kind(Kind::IdempotencyKeyInFlight).retry_after(1)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let unavailable = |detail| Self::unavailable(detail, 1);
        match error {
            StoreError::Throttled { .. } => {
                unavailable("The server has too much to do right now.").cause(error)
            }
            StoreError::Contended { .. } => {
                let detail = "Another request is changing the same resource. Repeat this one in a second.";
                Self::new(StatusCode::CONFLICT, detail).retry_after(1).cause(error)
            }
            StoreError::Unavailable { .. } => {
                unavailable("The data cannot be reached right now.").cause(error)
            }
            StoreError::Refused { .. } | StoreError::Row(_) => Self::internal(error),
        }
    }
}

impl From<BucketError> for Problem {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::Unavailable { .. } => {
                Self::unavailable("The attachments cannot be reached right now.", 1).cause(error)
            }
            BucketError::Refused { .. } => Self::internal(error),
        }
    }
}
