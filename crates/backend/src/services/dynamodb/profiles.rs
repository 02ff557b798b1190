use aws_sdk_dynamodb::types::AttributeValue;

use super::{Row, Store, StoreError, classify_error, key};
use crate::models::{
    Timestamp,
    owner::Owner,
    profile::{NewProfile, Profile},
};

const SORT_KEY: &str = "PROFILE";

impl Store {
    /// Reads the owner's profile: one `GetItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn profile(&self, owner: &Owner) -> Result<Option<Profile>, StoreError> {
        let row = self.row(owner, SORT_KEY.to_owned()).await?;
        Ok(row.map(serde_dynamo::from_item).transpose()?)
    }

    /// Replaces the owner's profile: one `PutItem`, which can be repeated.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_profile(&self, owner: &Owner, new: NewProfile) -> Result<Profile, StoreError> {
        let profile = Profile { display_name: new.display_name, bio: new.bio, updated_at: Timestamp::now() };
        let mut row: Row = serde_dynamo::to_item(&profile)?;
        row.retain(|_, value| !matches!(value, AttributeValue::Null(_)));
        row.extend(key(owner, SORT_KEY.to_owned()));
        let request = self.client.put_item().table_name(&*self.table).set_item(Some(row));
        self.send("PutItem", request.send()).await.map_err(|error| classify_error("PutItem", error))?;
        Ok(profile)
    }

    /// Deletes the owner's profile, if it exists: one `DeleteItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete_profile(&self, owner: &Owner) -> Result<(), StoreError> {
        let request =
            self.client.delete_item().table_name(&*self.table).set_key(Some(key(owner, SORT_KEY.to_owned())));
        let sent = self.send("DeleteItem", request.send()).await;
        sent.map(drop).map_err(|error| classify_error("DeleteItem", error))
    }
}
