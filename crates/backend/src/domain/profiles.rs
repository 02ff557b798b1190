use super::Error;
use crate::{
    models::{
        owner::Owner,
        profile::{NewProfile, Profile},
        version::{IfMatch, Preconditions},
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
    /// [`Error::VersionConflict`], [`Error::Store`].
    pub async fn replace(
        &self,
        owner: &Owner,
        new: NewProfile,
        preconditions: &Preconditions,
    ) -> Result<Profile, Error> {
        self.0.put_profile(owner, new, preconditions).await?.ok_or(Error::VersionConflict)
    }

    /// Removes the profile, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::VersionConflict`], [`Error::Store`].
    pub async fn remove(&self, owner: &Owner, if_match: &IfMatch) -> Result<(), Error> {
        if self.0.delete_profile(owner, if_match).await? { Ok(()) } else { Err(Error::VersionConflict) }
    }
}
