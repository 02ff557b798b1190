//! The bucket with the attachments. Their bytes never pass through this server: clients use presigned requests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    config::Builder,
    error::{BoxError, SdkError},
    operation::head_object::HeadObjectError,
    presigning::{PresignedRequest as Presigned, PresigningConfig},
    types::{Delete, ObjectIdentifier},
};
use time::OffsetDateTime;

use crate::{
    models::{
        Timestamp,
        attachment::{Attachment, AttachmentId, PresignedRequest, object_key, object_prefix, owner_prefix},
        item::ItemId,
        owner::Owner,
    },
    telemetry::{self, CallSpans},
};

/// The IAM actions on objects of this module's calls, presigned requests included: a presigned URL can do what its signer
/// may do. `HeadObject` needs `s3:GetObject`.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
pub const OBJECT_ACTIONS: [&str; 3] = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"];

/// The IAM actions on the bucket of this module's calls: `ListObjectsV2`, and `HeadObject`, which returns 403 instead of 404
/// without it: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
pub const BUCKET_ACTIONS: [&str; 1] = ["s3:ListBucket"];

/// Returns the SDK's configuration for the bucket's client, with a limit on every wait as in [`super::dynamodb::client_config`].
///
/// `path_style` is for S3 on a custom endpoint without a host name for each bucket.
pub fn client_config(shared: &SdkConfig, path_style: bool) -> Builder {
    let builder = Builder::from(shared);
    let builder = if telemetry::is_tracing() { builder.interceptor(CallSpans) } else { builder };
    builder
        .behavior_version(BehaviorVersion::v2026_01_12())
        .force_path_style(path_style)
        .retry_config(RetryConfig::standard())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(5))
                .build(),
        )
}

/// The bucket.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    name: Arc<str>,
    url_lifetime: Duration,
}

/// A page of an owner's files.
#[derive(Debug)]
pub struct FilePage {
    /// The files.
    pub files: Vec<File>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A file in the bucket.
#[derive(Debug)]
pub struct File {
    /// The item in its key.
    pub item: ItemId,
    /// The attachment in its key.
    pub attachment: AttachmentId,
    /// Its length in bytes.
    pub size: u64,
    /// When its upload ended.
    pub uploaded_at: OffsetDateTime,
}

/// The reason why a call of S3 failed.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// S3 could not be reached, was too slow, or failed.
    #[error("S3 did not respond to {operation}")]
    Unavailable {
        /// The name of the call.
        operation: &'static str,
        /// The error of the SDK.
        source: BoxError,
    },
    /// S3 rejected the call: the bucket or a permission is missing, or this program has a bug.
    #[error("S3 rejected {operation}")]
    Refused {
        /// The name of the call.
        operation: &'static str,
        /// The error of the SDK.
        source: BoxError,
    },
}

impl Bucket {
    /// Creates a handle to the bucket `name`. Presigned URLs work for `url_lifetime`.
    pub fn new(client: Client, name: &str, url_lifetime: Duration) -> Self {
        Self { client, name: name.into(), url_lifetime }
    }

    /// Presigns an upload. Length, media type and checksum are part of the signature, and that there is no file yet: bytes
    /// that were uploaded cannot be replaced.
    ///
    /// # Errors
    ///
    /// [`BucketError::Refused`] if the credentials for signing are missing.
    pub async fn presign_upload(
        &self,
        owner: &Owner,
        item: ItemId,
        attachment: &Attachment,
    ) -> Result<PresignedRequest, BucketError> {
        let length = i64::try_from(attachment.size).map_err(|error| refused("PutObject", error))?;
        let request = self
            .client
            .put_object()
            .bucket(&*self.name)
            .key(object_key(owner, item, attachment.id))
            .content_type(attachment.content_type.as_str())
            .content_length(length)
            .set_checksum_sha256(attachment.checksum_sha256.as_ref().map(|sum| sum.as_str().to_owned()))
            .if_none_match("*");
        let signed = request.presigned(self.presigning()?).await;
        Ok(self.presigned("PUT", signed.map_err(|error| classify_error("PutObject", error))?))
    }

    /// Presigns a download with the attachment's own name and media type.
    ///
    /// # Errors
    ///
    /// [`BucketError::Refused`] if the credentials for signing are missing.
    pub async fn presign_download(
        &self,
        owner: &Owner,
        item: ItemId,
        attachment: &Attachment,
    ) -> Result<PresignedRequest, BucketError> {
        let request = self
            .client
            .get_object()
            .bucket(&*self.name)
            .key(object_key(owner, item, attachment.id))
            .response_content_type(attachment.content_type.as_str())
            .response_content_disposition(attachment.filename.content_disposition());
        let signed = request.presigned(self.presigning()?).await;
        Ok(self.presigned("GET", signed.map_err(|error| classify_error("GetObject", error))?))
    }

    /// Returns the IDs of an item's attachments that were uploaded.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn uploaded(&self, owner: &Owner, item: ItemId) -> Result<Vec<AttachmentId>, BucketError> {
        let prefix = object_prefix(owner, item);
        // An item has at most 100 attachments, and S3 lists 1,000 at once.
        let listed = self.client.list_objects_v2().bucket(&*self.name).prefix(&prefix).send().await;
        let objects =
            listed.map_err(|error| classify_error("ListObjectsV2", error))?.contents.unwrap_or_default();
        let keys = objects.iter().filter_map(|object| object.key()?.strip_prefix(&prefix));
        Ok(keys.filter_map(AttachmentId::parse).collect())
    }

    /// Whether one attachment was uploaded.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn is_uploaded(
        &self,
        owner: &Owner,
        item: ItemId,
        id: AttachmentId,
    ) -> Result<bool, BucketError> {
        let request = self.client.head_object().bucket(&*self.name).key(object_key(owner, item, id));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) if matches!(service.err(), HeadObjectError::NotFound(_)) => {
                Ok(false)
            }
            Err(error) => Err(classify_error("HeadObject", error)),
        }
    }

    /// Returns a page of the owner's files, at most 1,000 in the order of their keys, from where an earlier page ended.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn files(&self, owner: &Owner, from: Option<String>) -> Result<FilePage, BucketError> {
        let prefix = owner_prefix(owner);
        let request = self.client.list_objects_v2().bucket(&*self.name).prefix(&prefix);
        let listed = request.set_continuation_token(from).send().await;
        let listed = listed.map_err(|error| classify_error("ListObjectsV2", error))?;
        let files = listed.contents().iter().filter_map(|object| {
            let (item, attachment) = object.key()?.strip_prefix(&prefix)?.split_once('/')?;
            Some(File {
                item: item.parse::<uuid::Uuid>().ok()?.into(),
                attachment: AttachmentId::parse(attachment)?,
                size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                uploaded_at: OffsetDateTime::from_unix_timestamp(object.last_modified()?.secs()).ok()?,
            })
        });
        Ok(FilePage { files: files.collect(), next: listed.next_continuation_token().map(str::to_owned) })
    }

    /// Deletes files of attachments, at most 1,000. A file that was never uploaded is not an error.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn delete(&self, owner: &Owner, files: &[(ItemId, AttachmentId)]) -> Result<(), BucketError> {
        self.delete_keys(files.iter().map(|(item, id)| object_key(owner, *item, *id)).collect()).await
    }

    /// Deletes all files of an item, whether they have a record or not.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn delete_all(&self, owner: &Owner, item: ItemId) -> Result<(), BucketError> {
        let prefix = object_prefix(owner, item);
        loop {
            let listed = self.client.list_objects_v2().bucket(&*self.name).prefix(&prefix).send().await;
            let listed = listed.map_err(|error| classify_error("ListObjectsV2", error))?;
            let keys = listed.contents().iter().filter_map(|object| object.key().map(str::to_owned));
            self.delete_keys(keys.collect()).await?;
            if listed.is_truncated() != Some(true) {
                return Ok(());
            }
        }
    }

    async fn delete_keys(&self, keys: Vec<String>) -> Result<(), BucketError> {
        if keys.is_empty() {
            return Ok(());
        }
        let objects = keys
            .into_iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect::<Result<Vec<_>, _>>()
            .and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build())
            .map_err(|error| refused("DeleteObjects", error))?;
        let sent = self.client.delete_objects().bucket(&*self.name).delete(objects).send().await;
        match sent.map_err(|error| classify_error("DeleteObjects", error))?.errors().first() {
            None => Ok(()),
            Some(error) => {
                let source = error.message().unwrap_or("an object was not deleted").into();
                Err(BucketError::Unavailable { operation: "DeleteObjects", source })
            }
        }
    }

    fn presigning(&self) -> Result<PresigningConfig, BucketError> {
        PresigningConfig::expires_in(self.url_lifetime).map_err(|error| refused("presigning", error))
    }

    fn presigned(&self, method: &'static str, signed: Presigned) -> PresignedRequest {
        let headers: BTreeMap<_, _> =
            signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let expires_at = Timestamp::at(OffsetDateTime::now_utc() + self.url_lifetime);
        PresignedRequest { method, url: signed.uri().to_owned(), headers, expires_at }
    }
}

fn refused(operation: &'static str, error: impl Into<BoxError>) -> BucketError {
    BucketError::Refused { operation, source: error.into() }
}

fn classify_error<E>(operation: &'static str, error: SdkError<E>) -> BucketError
where
    E: std::error::Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(service) if !service.raw().status().is_server_error() => {
            refused(operation, error)
        }
        SdkError::ConstructionFailure(_) => refused(operation, error),
        _ => BucketError::Unavailable { operation, source: error.into() },
    }
}
