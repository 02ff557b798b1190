//! What the group `admins` may do with other users' items.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    PageQuery,
    items::{self, IfMatchHeader},
};
use crate::{
    App,
    auth::{Admins, Caller, InGroup, ItemsRead, ItemsWrite},
    extract::{Json, Path, Query},
    models::{
        item::{ItemId, ItemPage},
        owner::Owner,
        version::IfMatch,
    },
    problem::{Problem, ProblemBody},
    services::dynamodb::Store,
};

/// The `sub` of a user of the administrator's own pool: 1 to 128 visible ASCII characters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[!-~]+$", example = "9b2d1c4e-6a7f-4e21-8c3d-5f60718293a4")]
pub struct UserSub(String);

impl TryFrom<String> for UserSub {
    type Error = &'static str;

    fn try_from(sub: String) -> Result<Self, Self::Error> {
        let is_visible = sub.bytes().all(|byte| byte.is_ascii_graphic());
        if (1..=128).contains(&sub.len()) && is_visible {
            Ok(Self(sub))
        } else {
            Err("a user's `sub` has 1 to 128 visible ASCII characters")
        }
    }
}

/// List a user's items, newest first.
#[utoipa::path(get, path = "/admin/users/{sub}/items", tag = "administration",
    params(("sub" = UserSub, Path), PageQuery), responses(
    (status = OK, body = ItemPage, description = "The user's items; none if there is no such user"),
    (status = NOT_FOUND, body = ProblemBody, description = "No user can have this `sub`"),
    (status = UNPROCESSABLE_ENTITY, body = ProblemBody, description = "The limit or the cursor is not valid"),
))]
pub async fn list_user_items(
    State(store): State<Store>,
    admin: Caller<(InGroup<Admins>, ItemsRead)>,
    Path(sub): Path<UserSub>,
    Query(query): Query<PageQuery>,
) -> Result<Json<ItemPage>, Problem> {
    items::page(&store, &Owner::user(admin.user_pool_id(), &sub.0), query).await
}

/// Remove a user's item and its attachments.
#[utoipa::path(delete, path = "/admin/users/{sub}/items/{id}", tag = "administration",
    params(("sub" = UserSub, Path), ("id" = ItemId, Path), IfMatchHeader), responses(
    (status = NO_CONTENT, description = "The item and its attachments are gone"),
    (status = NOT_FOUND, body = ProblemBody, description = "The user has no such item"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
))]
pub async fn delete_user_item(
    State(app): State<App>,
    admin: Caller<(InGroup<Admins>, ItemsWrite)>,
    Path((sub, id)): Path<(UserSub, ItemId)>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    items::remove(app, Owner::user(admin.user_pool_id(), &sub.0), id, if_match).await
}
