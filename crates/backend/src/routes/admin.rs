//! What the group `admins` may do with other users' items.

use axum::extract::State;
use http::StatusCode;

use super::page::PageQuery;
use crate::{
    auth::{Administrator, Caller, ItemsRead, ItemsWrite},
    domain::{Items, Revocations},
    extract::{Json, Path, Query},
    models::{
        item::{ItemId, ItemPage},
        owner::{Owner, UserSub},
        version::IfMatch,
    },
    observe::RequestContext,
    problem::{Problem, ProblemBody},
};

/// List a user's items, newest first.
#[utoipa::path(get, path = "/admin/users/{sub}/items", tag = "administration",
    params(("sub" = UserSub, Path), PageQuery), responses(
    (status = OK, body = ItemPage, description = "The user's items; none if there is no such user"),
    (status = NOT_FOUND, body = ProblemBody, description = "No user can have this `sub`"),
    (status = UNPROCESSABLE_ENTITY, body = ProblemBody, description = "The limit or the cursor is not valid"),
))]
pub(crate) async fn list_user_items(
    State(items): State<Items>,
    admin: Caller<(Administrator, ItemsRead)>,
    context: RequestContext,
    Path(sub): Path<UserSub>,
    Query(query): Query<PageQuery>,
) -> Result<Json<ItemPage>, Problem> {
    let owner = Owner::user(admin.user_pool_id(), sub.as_str());
    context.audit("list_user_items", &owner);
    Ok(Json(items.list(&owner, query.limit, query.cursor.as_deref()).await?))
}

/// Remove a user's item and its attachments.
#[utoipa::path(delete, path = "/admin/users/{sub}/items/{id}", tag = "administration",
    params(("sub" = UserSub, Path), ("id" = ItemId, Path), IfMatch), responses(
    (status = NO_CONTENT, description = "The item and its attachments are gone"),
    (status = NOT_FOUND, body = ProblemBody, description = "The user has no such item"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
))]
pub(crate) async fn delete_user_item(
    State(items): State<Items>,
    admin: Caller<(Administrator, ItemsWrite)>,
    context: RequestContext,
    Path((sub, id)): Path<(UserSub, ItemId)>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let owner = Owner::user(admin.user_pool_id(), sub.as_str());
    context.audit("delete_user_item", &owner);
    items.remove(&owner, id, if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign a user out everywhere.
///
/// Revokes all access tokens that the user has got until now, on every server within 30 seconds. To end the user's refresh
/// tokens as well, call Cognito's `AdminUserGlobalSignOut` first.
#[utoipa::path(post, path = "/admin/users/{sub}/sign-out", tag = "administration", params(("sub" = UserSub, Path)), responses(
    (status = NO_CONTENT, description = "The tokens are revoked, if there is such a user"),
    (status = NOT_FOUND, body = ProblemBody, description = "No user can have this `sub`"),
))]
pub(crate) async fn sign_user_out(
    State(revocations): State<Revocations>,
    admin: Caller<(Administrator, ItemsWrite)>,
    context: RequestContext,
    Path(sub): Path<UserSub>,
) -> Result<StatusCode, Problem> {
    context.audit("sign_user_out", &Owner::user(admin.user_pool_id(), sub.as_str()));
    revocations.revoke(sub.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
