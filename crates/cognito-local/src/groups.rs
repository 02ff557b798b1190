//! Groups of users.

use rusqlite::Connection;

use crate::clock::Clock;
use crate::models::{Group, User};
use crate::refusal::{Refusal, decide};
use crate::store::{Store, StoreError, groups, users};

/// The groups of the pool.
#[derive(Clone)]
pub(crate) struct Groups {
    store: Store,
    clock: Clock,
}

/// What an administrator decides about a group.
pub(crate) struct GroupSettings {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) precedence: Option<i64>,
}

impl Groups {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    pub(crate) async fn create(&self, settings: GroupSettings) -> Result<Group, Refusal> {
        let now = self.clock.unix_seconds();
        decide(&self.store, move |tx| {
            if groups::find(tx, &settings.name)?.is_some() {
                return Err(Refusal::known("GroupExistsException", "A group with the name already exists."));
            }
            let group = Group {
                name: settings.name,
                description: settings.description,
                role_arn: settings.role_arn,
                precedence: settings.precedence,
                created_at: now,
                modified_at: now,
            };
            groups::save(tx, &group)?;
            Ok(group)
        })
        .await
    }

    /// Changes what the settings contain and keeps the rest.
    pub(crate) async fn update(&self, settings: GroupSettings) -> Result<Group, Refusal> {
        let now = self.clock.unix_seconds();
        decide(&self.store, move |tx| {
            let known = existing(tx, &settings.name)?;
            let group = Group {
                description: settings.description.or(known.description),
                role_arn: settings.role_arn.or(known.role_arn),
                precedence: settings.precedence.or(known.precedence),
                modified_at: now,
                ..known
            };
            groups::save(tx, &group)?;
            Ok(group)
        })
        .await
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Group, Refusal> {
        let name = name.to_owned();
        decide(&self.store, move |tx| existing(tx, &name)).await
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), Refusal> {
        let name = name.to_owned();
        decide(&self.store, move |tx| {
            existing(tx, &name)?;
            Ok(groups::delete(tx, &name)?)
        })
        .await
    }

    /// Returns up to `limit` groups, with `user` those of the user; see [`groups::page`].
    pub(crate) async fn page(
        &self,
        user: Option<User>,
        after: String,
        limit: usize,
    ) -> Result<Vec<Group>, Refusal> {
        let sub = user.map(|user| user.sub);
        Ok(self.store.read(move |db| groups::page(db, sub.as_deref(), &after, limit)).await?)
    }

    pub(crate) async fn add_member(&self, group: &str, username: &str) -> Result<(), Refusal> {
        self.change_member(group, username, groups::add_member).await
    }

    pub(crate) async fn remove_member(&self, group: &str, username: &str) -> Result<(), Refusal> {
        self.change_member(group, username, groups::remove_member).await
    }

    async fn change_member(
        &self,
        group: &str,
        username: &str,
        change: fn(&Connection, &str, &str) -> Result<(), StoreError>,
    ) -> Result<(), Refusal> {
        let (group, username) = (group.to_owned(), username.to_owned());
        decide(&self.store, move |tx| {
            let user = users::find_by_any_name(tx, &username)?.ok_or_else(Refusal::user_not_found)?;
            existing(tx, &group)?;
            Ok(change(tx, &group, &user.sub)?)
        })
        .await
    }
}

fn existing(tx: &Connection, name: &str) -> Result<Group, Refusal> {
    groups::find(tx, name)?.ok_or_else(Refusal::group_not_found)
}
