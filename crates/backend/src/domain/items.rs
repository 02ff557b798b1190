use opentelemetry::trace::FutureExt;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{Error, freed::freed};
use crate::{
    config::Attachments as Limits,
    models::{
        attachment::Attachment,
        cursor::Cursor,
        idempotency::IdempotencyKey,
        item::{Item, ItemId, ItemPage, ItemPatch, NewItem},
        owner::Owner,
        version::IfMatch,
    },
    services::{
        dynamodb::{Deleted, IdempotentCreate, MAX_FORGOTTEN, Store, StoreError, Written},
        s3::Bucket,
    },
};

/// How often the records of a removed item are read again because another removal has taken some.
const MAX_ROUNDS: usize = 3;

/// Each owner's items.
#[derive(Clone)]
pub struct Items {
    store: Store,
    bucket: Option<Bucket>,
    limits: Limits,
    /// Removals that go on after their caller has left; the server waits for them when it stops.
    tasks: TaskTracker,
}

impl Items {
    pub(crate) fn new(store: Store, bucket: Option<Bucket>, limits: Limits, tasks: TaskTracker) -> Self {
        Self { store, bucket, limits, tasks }
    }

    /// Lists a page of items, newest first, that begins after `cursor`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCursor`] if the cursor was not made for this owner's list, [`Error::Store`].
    pub async fn list(&self, owner: &Owner, limit: usize, cursor: Option<&str>) -> Result<ItemPage, Error> {
        let decode = |text| Cursor::decode(text, owner).ok_or(Error::InvalidCursor);
        let page = self.store.items(owner, limit, cursor.map(decode).transpose()?).await?;
        Ok(ItemPage { items: page.items, next_cursor: page.next.map(|cursor| cursor.encode(owner)) })
    }

    /// Creates an item. With a key, repeating the call within 24 hours returns the first result.
    ///
    /// # Errors
    ///
    /// [`Error::IdempotencyKeyReused`], [`Error::IdempotencyKeyInFlight`], [`Error::Store`].
    pub async fn create(
        &self,
        owner: &Owner,
        new: NewItem,
        key: Option<&IdempotencyKey>,
    ) -> Result<Item, Error> {
        let Some(key) = key else { return Ok(self.store.create_item(owner, new).await?) };
        match self.store.create_item_once(owner, key, new).await? {
            IdempotentCreate::Created(item) => Ok(item),
            IdempotentCreate::OtherBody => Err(Error::IdempotencyKeyReused),
            IdempotentCreate::InFlight => Err(Error::IdempotencyKeyInFlight),
        }
    }

    /// Reads an item.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::Store`].
    pub async fn read(&self, owner: &Owner, id: ItemId) -> Result<Item, Error> {
        self.store.item(owner, id).await?.ok_or(Error::ItemNotFound)
    }

    /// Replaces an item.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::VersionConflict`], [`Error::Store`].
    pub async fn replace(
        &self,
        owner: &Owner,
        id: ItemId,
        new: NewItem,
        if_match: &IfMatch,
    ) -> Result<Item, Error> {
        written(self.store.replace_item(owner, id, new, if_match).await?)
    }

    /// Changes the fields that the patch names.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::VersionConflict`], [`Error::Store`].
    pub async fn update(
        &self,
        owner: &Owner,
        id: ItemId,
        patch: ItemPatch,
        if_match: &IfMatch,
    ) -> Result<Item, Error> {
        written(self.store.patch_item(owner, id, patch, if_match).await?)
    }

    /// Removes an item, then its attachments. It continues if the caller stops waiting: nobody else would ask again for
    /// the files of an item that is gone. If it fails half-way, calling it again or the next sweep finishes the work.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::VersionConflict`], [`Error::Store`], [`Error::Bucket`].
    pub async fn remove(&self, owner: &Owner, id: ItemId, if_match: IfMatch) -> Result<(), Error> {
        let (items, owner) = (self.clone(), owner.clone());
        let removal = async move { items.remove_all(&owner, id, &if_match).await };
        let removal = removal.in_current_span().with_current_context();
        self.tasks.spawn(removal).await.unwrap_or(Err(Error::Panicked))
    }

    /// The item goes first, so that no attachment can be added meanwhile.
    async fn remove_all(&self, owner: &Owner, id: ItemId, if_match: &IfMatch) -> Result<(), Error> {
        match self.store.delete_item(owner, id, if_match).await? {
            Deleted::Stale => Err(Error::VersionConflict),
            Deleted::Done { had_attachments: false } => Ok(()),
            Deleted::Done { had_attachments: true } => self.remove_attachments(owner, id).await,
            Deleted::Missing if self.store.attachments(owner, id).await?.is_empty() => {
                Err(Error::ItemNotFound)
            }
            Deleted::Missing => self.remove_attachments(owner, id).await,
        }
    }

    /// Removes the attachments of an item that is gone: all files under its prefix, so that bytes without a record go, too,
    /// then the records.
    pub(crate) async fn remove_attachments(&self, owner: &Owner, id: ItemId) -> Result<(), Error> {
        // Without a bucket the records stay: they are the only trace of the files.
        let Some(bucket) = &self.bucket else { return Ok(()) };
        for _ in 0..MAX_ROUNDS {
            let attachments = self.store.attachments(owner, id).await?;
            bucket.delete_all(owner, id).await?;
            if self.forget(owner, id, &attachments).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" }.into())
    }

    /// Removes the records. Returns `false` if another removal of the same item was faster.
    async fn forget(&self, owner: &Owner, id: ItemId, attachments: &[Attachment]) -> Result<bool, Error> {
        for some in attachments.chunks(MAX_FORGOTTEN) {
            let freed = freed(some, &self.limits);
            if !self.store.forget_attachments(owner, id, some, freed).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn written(written: Written) -> Result<Item, Error> {
    match written {
        Written::Done(item) => Ok(item),
        Written::Missing => Err(Error::ItemNotFound),
        Written::Stale => Err(Error::VersionConflict),
    }
}
