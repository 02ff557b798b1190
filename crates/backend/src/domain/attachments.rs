use super::{Error, freed::freed};
use crate::{
    config::Attachments as Limits,
    models::{
        Timestamp,
        attachment::{
            Attachment, AttachmentDownload, AttachmentId, AttachmentList, CreatedAttachment, NewAttachment,
        },
        item::ItemId,
        owner::Owner,
    },
    services::{
        dynamodb::{Quota, Reserved, Store},
        s3::Bucket,
    },
};

/// The attachments of each owner's items. Every operation fails with [`Error::AttachmentsNotConfigured`] if there is no
/// bucket.
#[derive(Clone)]
pub struct Attachments {
    store: Store,
    bucket: Option<Bucket>,
    limits: Limits,
}

impl Attachments {
    pub(crate) fn new(store: Store, bucket: Option<Bucket>, limits: Limits) -> Self {
        Self { store, bucket, limits }
    }

    /// Reserves an attachment and returns the request that uploads its file.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::AttachmentTooLarge`], [`Error::TooManyAttachments`], [`Error::QuotaExceeded`],
    /// [`Error::Store`], [`Error::Bucket`].
    pub async fn create(
        &self,
        owner: &Owner,
        item: ItemId,
        new: NewAttachment,
    ) -> Result<CreatedAttachment, Error> {
        let bucket = self.bucket()?;
        let max_bytes = self.limits.max_bytes;
        if new.size > max_bytes {
            return Err(Error::AttachmentTooLarge { max_bytes });
        }
        let mut attachment = Attachment {
            id: AttachmentId::generate(),
            filename: new.filename,
            content_type: new.content_type,
            size: new.size,
            checksum_sha256: new.checksum_sha256,
            created_at: Timestamp::now(),
        };
        let upload = bucket.presign_upload(owner, item, &attachment).await?;
        // Taken after the signature: a lifetime that starts here must not end while the URL still works.
        attachment.created_at = Timestamp::now();
        self.reserve(bucket, owner, item, &attachment).await?;
        Ok(CreatedAttachment { attachment, upload })
    }

    /// Lists an item's uploaded attachments, oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::Store`], [`Error::Bucket`].
    pub async fn list(&self, owner: &Owner, item: ItemId) -> Result<AttachmentList, Error> {
        let bucket = self.bucket()?;
        let mut attachments = self.store.attachments(owner, item).await?;
        if attachments.is_empty() {
            // Only now does it matter whether the item has none or does not exist.
            self.store.item(owner, item).await?.ok_or(Error::ItemNotFound)?;
        } else {
            let uploaded = bucket.uploaded(owner, item).await?;
            attachments.retain(|attachment| uploaded.contains(&attachment.id));
        }
        Ok(AttachmentList { attachments })
    }

    /// Reads an uploaded attachment and returns the request that downloads its file.
    ///
    /// # Errors
    ///
    /// [`Error::AttachmentNotFound`], [`Error::Store`], [`Error::Bucket`].
    pub async fn read(
        &self,
        owner: &Owner,
        item: ItemId,
        id: AttachmentId,
    ) -> Result<AttachmentDownload, Error> {
        let bucket = self.bucket()?;
        let attachment = self.store.attachment(owner, item, id).await?.ok_or(Error::AttachmentNotFound)?;
        if !bucket.is_uploaded(owner, item, id).await? {
            return Err(Error::AttachmentNotFound);
        }
        let download = bucket.presign_download(owner, item, &attachment).await?;
        Ok(AttachmentDownload { attachment, download })
    }

    /// Removes an attachment. The file goes first: as long as its record exists, a failure half-way is finished by
    /// calling this again.
    ///
    /// # Errors
    ///
    /// [`Error::AttachmentNotFound`], [`Error::Store`], [`Error::Bucket`].
    pub async fn remove(&self, owner: &Owner, item: ItemId, id: AttachmentId) -> Result<(), Error> {
        let bucket = self.bucket()?;
        let attachment = self.store.attachment(owner, item, id).await?.ok_or(Error::AttachmentNotFound)?;
        bucket.delete(owner, &[(item, id)]).await?;
        let freed = freed(&[attachment], &self.limits);
        let released = self.store.release_attachment(owner, item, id, freed).await?;
        if released { Ok(()) } else { Err(Error::AttachmentNotFound) }
    }

    /// Reserves a place. If the item or the quota has none, first releases those of attachments that were never uploaded, or
    /// that were removed before their upload could no longer arrive.
    async fn reserve(
        &self,
        bucket: &Bucket,
        owner: &Owner,
        item: ItemId,
        attachment: &Attachment,
    ) -> Result<(), Error> {
        let limit = self.limits.per_item;
        let (files, bytes) = (self.limits.per_user, self.limits.bytes_per_user);
        let reserve =
            || self.store.reserve_attachment(owner, item, attachment, limit, Quota { files, bytes });
        let reserved = match reserve().await? {
            Reserved::Full if self.release_abandoned(bucket, owner, item).await? => reserve().await?,
            Reserved::OverQuota if self.correct_usage(owner).await? => reserve().await?,
            reserved => reserved,
        };
        match reserved {
            Reserved::Done => Ok(()),
            Reserved::MissingItem => Err(Error::ItemNotFound),
            Reserved::Full => Err(Error::TooManyAttachments { limit }),
            Reserved::OverQuota => Err(Error::QuotaExceeded { files, bytes }),
        }
    }

    /// Counts what the owner keeps, once nothing that was removed can still be uploaded. Returns whether it did.
    async fn correct_usage(&self, owner: &Owner) -> Result<bool, Error> {
        let usage = self.store.usage(owner).await?;
        if usage.held_until.is_none_or(|until| until >= Timestamp::now().unix()) {
            return Ok(false);
        }
        let (mut files, mut bytes) = (0, 0);
        let add = |_, attachment: Attachment| {
            files += 1;
            bytes += attachment.bytes();
        };
        self.store.all_attachments(owner, add).await?;
        Ok(self.store.correct_usage(owner, &usage, (files, bytes)).await?)
    }

    /// Releases the places of attachments whose upload can no longer arrive. Returns whether there were any.
    async fn release_abandoned(&self, bucket: &Bucket, owner: &Owner, item: ItemId) -> Result<bool, Error> {
        let records = self.store.attachments(owner, item).await?;
        let uploaded = bucket.uploaded(owner, item).await?;
        let now = Timestamp::now().instant();
        let mut released = false;
        for record in records {
            let deadline = self.limits.upload_deadline(record.created_at.instant(), record.size);
            let has_expired = deadline < now;
            if has_expired
                && !uploaded.contains(&record.id)
                && !bucket.is_uploaded(owner, item, record.id).await?
            {
                let freed = freed(std::slice::from_ref(&record), &self.limits);
                released |= self.store.release_attachment(owner, item, record.id, freed).await?;
            }
        }
        Ok(released)
    }

    fn bucket(&self) -> Result<&Bucket, Error> {
        self.bucket.as_ref().ok_or(Error::AttachmentsNotConfigured)
    }
}
