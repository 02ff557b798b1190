//! What the group `admins` may do with other users' items.

use axum::extract::State;
use http::StatusCode;

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
        owner::{Owner, UserSub},
        version::IfMatch,
    },
    problem::{Problem, ProblemBody},
    services::dynamodb::Store,
};

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
    items::page(&store, &Owner::user(admin.user_pool_id(), sub.as_str()), query).await
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
    items::remove(app, Owner::user(admin.user_pool_id(), sub.as_str()), id, if_match).await
}
