//! `profile`: the user's public profile.

use serde_json::json;

use super::{Context, text_or_input};
use crate::{
    api::UserProfile,
    arguments::ProfileCommand,
    error::Error,
    output::{self, Format, bold, plain, plain_lines},
};

impl Context<'_> {
    pub(super) async fn user_profile(&self, command: Option<ProfileCommand>) -> Result<(), Error> {
        match command {
            None => self.print_profile(self.api.user_profile().await?.as_ref()),
            Some(ProfileCommand::Set { display_name, bio, no_bio }) => {
                let bio = bio.as_deref().map(text_or_input).transpose()?;
                let profile = self.set_profile(display_name, bio, no_bio).await?;
                self.print_profile(Some(&profile))
            }
            Some(ProfileCommand::Rm) => {
                self.api.delete_user_profile().await?;
                self.format.print(&json!({ "removed": true }), "Removed the profile.")
            }
        }
    }

    async fn set_profile(
        &self,
        display_name: Option<String>,
        bio: Option<String>,
        no_bio: bool,
    ) -> Result<UserProfile, Error> {
        // The API replaces a profile as a whole, so the current one is read first.
        let old = self.api.user_profile().await?;
        let (old_name, old_bio) = old.map(|old| (old.display_name, old.bio)).unzip();
        let display_name = display_name
            .or(old_name)
            .ok_or_else(|| Error::usage("you have no profile", "Set a name with --display-name."))?;
        let bio = if no_bio { None } else { bio.or(old_bio.flatten()) };
        self.api.replace_user_profile(&display_name, bio.as_deref()).await
    }

    fn print_profile(&self, profile: Option<&UserProfile>) -> Result<(), Error> {
        match (self.format, profile) {
            (Format::Json, profile) => output::json(&profile),
            (_, None) => {
                output::line("You have no profile. Set one with `items profile set --display-name NAME`.")
            }
            (_, Some(profile)) => {
                output::line(&bold(&plain(&profile.display_name)))?;
                profile.bio.as_deref().map_or(Ok(()), |bio| output::line(&plain_lines(bio)))
            }
        }
    }
}
