use crate::services::{dynamodb::StoreError, s3::BucketError};

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The item does not exist, or it is another owner's.
    #[error("there is no such item")]
    ItemNotFound,
    /// The attachment does not exist, or it is another owner's.
    #[error("there is no such attachment")]
    AttachmentNotFound,
    /// The owner has no profile.
    #[error("there is no such profile")]
    ProfileNotFound,
    /// The resource has another version than the caller expects.
    #[error("the resource has another version")]
    VersionConflict,
    /// The cursor was not made for this owner's list.
    #[error("the cursor does not belong to this list")]
    InvalidCursor,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used with another body")]
    IdempotencyKeyReused,
    /// A request with the same idempotency key is still being handled.
    #[error("a request with this idempotency key is still being handled")]
    IdempotencyKeyInFlight,
    /// The attachment is larger than the configuration allows.
    #[error("an attachment may have at most {max_bytes} bytes")]
    AttachmentTooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The item has as many attachments as the configuration allows.
    #[error("an item may have {limit} attachments")]
    TooManyAttachments {
        /// The limit.
        limit: u32,
    },
    /// The owner keeps as much in attachments as the configuration allows.
    #[error("an owner may keep {files} attachments with {bytes} bytes in all")]
    QuotaExceeded {
        /// The limit of their number.
        files: u64,
        /// The limit of their bytes.
        bytes: u64,
    },
    /// The server has no bucket for attachments.
    #[error("attachments are not configured")]
    AttachmentsNotConfigured,
    /// The operation panicked; the panic was logged.
    #[error("the operation panicked")]
    Panicked,
    /// DynamoDB failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// S3 failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}
