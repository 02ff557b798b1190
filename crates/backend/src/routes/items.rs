//! Items: each user has their own.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use super::page::PageQuery;
use crate::{
    auth::{Caller, ItemsRead, ItemsWrite},
    domain::Items,
    extract::{Json, MergePatch, Path, Query},
    headers::{RequiredIfMatch, etag},
    models::{
        idempotency::IdempotencyKey,
        item::{Item, ItemId, ItemPage, ItemPatch, NewItem},
        version::{IfMatch, IfNoneMatch},
    },
    problem::{Problem, ProblemBody},
};

/// List my items, newest first.
#[utoipa::path(get, path = "/items", tag = "items", params(PageQuery), responses(
    (status = OK, body = ItemPage),
    (status = UNPROCESSABLE_ENTITY, body = ProblemBody, description = "The limit or the cursor is not valid"),
))]
pub(crate) async fn list_items(
    State(items): State<Items>,
    caller: Caller<ItemsRead>,
    Query(query): Query<PageQuery>,
) -> Result<Json<ItemPage>, Problem> {
    Ok(Json(items.list(caller.owner(), query.limit, query.cursor.as_deref()).await?))
}

/// Create an item.
#[utoipa::path(post, path = "/items", tag = "items", params(IdempotencyKey), request_body = NewItem, responses(
    (status = CREATED, body = Item, headers(
        ("location" = String, description = "Where the item is"),
        ("etag" = String, description = "The item's version, in quotes"),
    )),
    (status = CONFLICT, body = ProblemBody, description = "The first request with this idempotency key is still running"),
))]
pub(crate) async fn create_item(
    State(items): State<Items>,
    caller: Caller<ItemsWrite>,
    key: Option<IdempotencyKey>,
    Json(new): Json<NewItem>,
) -> Result<Response, Problem> {
    Ok(created(items.create(caller.owner(), new, key.as_ref()).await?))
}

/// Read an item.
#[utoipa::path(get, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), IfNoneMatch), responses(
    (status = OK, body = Item, headers(("etag" = String, description = "The item's version, in quotes"))),
    (status = NOT_MODIFIED, description = "The caller has the current version"),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
))]
pub(crate) async fn show_item(
    State(items): State<Items>,
    caller: Caller<ItemsRead>,
    Path(id): Path<ItemId>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let item = items.read(caller.owner(), id).await?;
    if if_none_match.matches(item.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(item.version))]).into_response());
    }
    Ok(with_etag(item))
}

/// Replace an item.
///
/// `If-Match` says which version is meant, so that two who write at once do not overwrite each other unknowingly.
#[utoipa::path(put, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), RequiredIfMatch),
    request_body = NewItem, responses(
    (status = OK, body = Item, headers(("etag" = String, description = "The new version, in quotes"))),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
    (status = PRECONDITION_REQUIRED, body = ProblemBody, description = "`If-Match` is missing"),
))]
pub(crate) async fn replace_item(
    State(items): State<Items>,
    caller: Caller<ItemsWrite>,
    Path(id): Path<ItemId>,
    RequiredIfMatch(if_match): RequiredIfMatch,
    Json(new): Json<NewItem>,
) -> Result<Response, Problem> {
    Ok(with_etag(items.replace(caller.owner(), id, new, &if_match).await?))
}

/// Change parts of an item.
///
/// The body is a JSON merge patch (RFC 7396): what is absent stays, `null` removes.
#[utoipa::path(patch, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), IfMatch),
    request_body(content(
        (ItemPatch = "application/merge-patch+json"),
        (ItemPatch = "application/json"),
    )), responses(
    (status = OK, body = Item, headers(("etag" = String, description = "The new version, in quotes"))),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
))]
pub(crate) async fn update_item(
    State(items): State<Items>,
    caller: Caller<ItemsWrite>,
    Path(id): Path<ItemId>,
    if_match: IfMatch,
    MergePatch(patch): MergePatch<ItemPatch>,
) -> Result<Response, Problem> {
    Ok(with_etag(items.update(caller.owner(), id, patch, &if_match).await?))
}

/// Remove an item and its attachments.
///
/// If it fails half-way, repeating it finishes the work.
#[utoipa::path(delete, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), IfMatch), responses(
    (status = NO_CONTENT, description = "The item and its attachments are gone"),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
))]
pub(crate) async fn delete_item(
    State(items): State<Items>,
    caller: Caller<ItemsWrite>,
    Path(id): Path<ItemId>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    items.remove(caller.owner(), id, if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn created(item: Item) -> Response {
    let location = HeaderValue::try_from(format!("/items/{}", item.id));
    let mut response = (StatusCode::CREATED, with_etag(item)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn with_etag(item: Item) -> Response {
    ([(header::ETAG, etag(item.version))], Json(item)).into_response()
}
