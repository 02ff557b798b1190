use super::Error;
use crate::{
    models::{
        owner::Owner,
        profile::{NewProfile, Profile},
    },
    services::dynamodb::Store,
};

/// Each owner's profile.
#[derive(Clone)]
pub struct Profiles(Store);

impl Profiles {
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Reads the profile.
    ///
    /// # Errors
    ///
    /// [`Error::ProfileNotFound`], [`Error::Store`].
    pub async fn read(&self, owner: &Owner) -> Result<Profile, Error> {
        self.0.profile(owner).await?.ok_or(Error::ProfileNotFound)
    }

    /// Sets the profile.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn replace(&self, owner: &Owner, new: NewProfile) -> Result<Profile, Error> {
        Ok(self.0.put_profile(owner, new).await?)
    }

    /// Removes the profile, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn remove(&self, owner: &Owner) -> Result<(), Error> {
        Ok(self.0.delete_profile(owner).await?)
    }
}
