use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Error;
use crate::{
    models::{
        cursor::Cursor,
        idempotency::IdempotencyKey,
        item::{Item, ItemId, ItemPage, ItemPatch, NewItem},
        owner::Owner,
        version::IfMatch,
    },
    services::{
        dynamodb::{Deleted, IdempotentCreate, Store, Written},
        s3::Bucket,
    },
};

/// Each owner's items.
#[derive(Clone)]
pub struct Items {
    store: Store,
    bucket: Option<Bucket>,
    /// Removals that go on after their caller has left; the server waits for them when it stops.
    tasks: TaskTracker,
}

impl Items {
    pub(crate) fn new(store: Store, bucket: Option<Bucket>, tasks: TaskTracker) -> Self {
        Self { store, bucket, tasks }
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
    /// the files of an item that is gone. If it fails half-way, calling it again finishes the work.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNotFound`], [`Error::VersionConflict`], [`Error::Store`], [`Error::Bucket`].
    pub async fn remove(&self, owner: &Owner, id: ItemId, if_match: IfMatch) -> Result<(), Error> {
        let (items, owner) = (self.clone(), owner.clone());
        let removal = async move { items.remove_all(&owner, id, &if_match).await };
        self.tasks.spawn(removal.in_current_span()).await.unwrap_or(Err(Error::Panicked))
    }

    /// The item goes first, so that no attachment can be added meanwhile.
    async fn remove_all(&self, owner: &Owner, id: ItemId, if_match: &IfMatch) -> Result<(), Error> {
        let deleted = self.store.delete_item(owner, id, if_match).await?;
        if deleted == Deleted::Stale {
            return Err(Error::VersionConflict);
        }
        let attachments = self.store.attachments(owner, id).await?;
        if attachments.is_empty() {
            return if deleted == Deleted::Done { Ok(()) } else { Err(Error::ItemNotFound) };
        }
        // Without a bucket the records stay: they are the only trace of the files.
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let ids: Vec<_> = attachments.iter().map(|attachment| attachment.id).collect();
        bucket.delete(owner, id, &ids).await?;
        self.store.forget_attachments(owner, id, &ids).await?;
        Ok(())
    }
}

fn written(written: Written) -> Result<Item, Error> {
    match written {
        Written::Done(item) => Ok(item),
        Written::Missing => Err(Error::ItemNotFound),
        Written::Stale => Err(Error::VersionConflict),
    }
}
