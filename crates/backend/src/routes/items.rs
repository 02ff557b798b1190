//! Items: each user has their own.

use axum::{
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use tracing::Instrument;
use utoipa::IntoParams;

use super::{PageQuery, foreign_cursor};
use crate::{
    App,
    auth::{Caller, ItemsRead, ItemsWrite},
    extract::{Json, MergePatch, Path, Query},
    models::{
        cursor::Cursor,
        item::{Item, ItemId, ItemPage, ItemPatch, NewItem},
        owner::Owner,
        version::{IfMatch, IfNoneMatch, etag},
    },
    problem::{FieldError, Kind, Problem, ProblemBody},
    services::dynamodb::{Deleted, IdempotencyKey, Once, Store, Written},
};

/// Which version a write is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header for the document; `IfMatch` reads it")]
pub struct IfMatchHeader {
    /// The `ETag` of the version to be changed, or `*` for whichever is there.
    #[param(rename = "If-Match", example = "\"1\"", required = false, value_type = String)]
    if_match: Option<String>,
}

/// Which version a write is meant for, where it must say.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header for the document; `IfMatch` reads it")]
pub struct RequiredIfMatchHeader {
    /// The `ETag` of the version to be replaced, or `*` for whichever is there.
    #[param(rename = "If-Match", example = "\"1\"")]
    if_match: String,
}

/// Which versions the caller has.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header for the document; `IfNoneMatch` reads it")]
pub struct IfNoneMatchHeader {
    /// The `ETag` that the caller has; if it is current the answer is 304.
    #[param(rename = "If-None-Match", example = "\"1\"", required = false, value_type = String)]
    if_none_match: Option<String>,
}

/// What a create is named by.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header for the document; `IdempotencyKeyHeader` reads it")]
pub struct IdempotencyKeyParam {
    /// 1 to 255 visible ASCII characters. Repeating the request with the same key and body within 24 hours creates nothing
    /// and gets the first answer again.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$", required = false,
        value_type = String)]
    idempotency_key: Option<String>,
}

/// List my items, newest first.
#[utoipa::path(get, path = "/items", tag = "items", params(PageQuery), responses(
    (status = OK, body = ItemPage),
    (status = UNPROCESSABLE_ENTITY, body = ProblemBody, description = "The limit or the cursor is not valid"),
))]
pub async fn list_items(
    State(store): State<Store>,
    caller: Caller<ItemsRead>,
    Query(query): Query<PageQuery>,
) -> Result<Json<ItemPage>, Problem> {
    page(&store, caller.owner(), query).await
}

/// Create an item.
#[utoipa::path(post, path = "/items", tag = "items", params(IdempotencyKeyParam), request_body = NewItem, responses(
    (status = CREATED, body = Item, headers(
        ("location" = String, description = "Where the item is"),
        ("etag" = String, description = "The item's version, in quotes"),
    )),
    (status = CONFLICT, body = ProblemBody, description = "The first request with this idempotency key is still running"),
))]
pub async fn create_item(
    State(store): State<Store>,
    caller: Caller<ItemsWrite>,
    IdempotencyKeyHeader(key): IdempotencyKeyHeader,
    Json(new): Json<NewItem>,
) -> Result<Response, Problem> {
    let Some(key) = key else {
        return Ok(created(store.create_item(caller.owner(), new).await?));
    };
    match store.create_item_once(caller.owner(), &key, new).await? {
        Once::Created(item) => Ok(created(item)),
        Once::OtherBody => {
            let error = FieldError::new(
                "Idempotency-Key",
                "was used with another body; use a new key for a new item",
            );
            Err(Problem::invalid(vec![error]).kind(Kind::IdempotencyKeyReused))
        }
        Once::InFlight => {
            let detail =
                "A request with this idempotency key is still being handled; repeat this one in a second.";
            Err(Problem::new(StatusCode::CONFLICT, detail).kind(Kind::IdempotencyKeyInFlight).retry_after(1))
        }
    }
}

/// Read an item.
#[utoipa::path(get, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), IfNoneMatchHeader), responses(
    (status = OK, body = Item, headers(("etag" = String, description = "The item's version, in quotes"))),
    (status = NOT_MODIFIED, description = "The caller has the current version"),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
))]
pub async fn show_item(
    State(store): State<Store>,
    caller: Caller<ItemsRead>,
    Path(id): Path<ItemId>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let item = store.item(caller.owner(), id).await?.ok_or_else(missing)?;
    if if_none_match.matches(item.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(item.version))]).into_response());
    }
    Ok(with_etag(item))
}

/// Replace an item.
///
/// `If-Match` says which version is meant, so that two who write at once do not overwrite each other unknowingly.
#[utoipa::path(put, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), RequiredIfMatchHeader),
    request_body = NewItem, responses(
    (status = OK, body = Item, headers(("etag" = String, description = "The new version, in quotes"))),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
    (status = PRECONDITION_REQUIRED, body = ProblemBody, description = "`If-Match` is missing"),
))]
pub async fn replace_item(
    State(store): State<Store>,
    caller: Caller<ItemsWrite>,
    Path(id): Path<ItemId>,
    if_match: IfMatch,
    Json(new): Json<NewItem>,
) -> Result<Response, Problem> {
    if if_match == IfMatch::Absent {
        let detail = "Send `If-Match` with the `ETag` of the version that you replace, or `*` to overwrite any version.";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail).kind(Kind::VersionRequired));
    }
    written(store.replace_item(caller.owner(), id, new, &if_match).await?)
}

/// Change parts of an item.
///
/// The body is a JSON merge patch (RFC 7396): what is absent stays, `null` removes.
#[utoipa::path(patch, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), IfMatchHeader),
    request_body(content(
        (ItemPatch = "application/merge-patch+json"),
        (ItemPatch = "application/json"),
    )), responses(
    (status = OK, body = Item, headers(("etag" = String, description = "The new version, in quotes"))),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
))]
pub async fn update_item(
    State(store): State<Store>,
    caller: Caller<ItemsWrite>,
    Path(id): Path<ItemId>,
    if_match: IfMatch,
    MergePatch(patch): MergePatch<ItemPatch>,
) -> Result<Response, Problem> {
    written(store.patch_item(caller.owner(), id, patch, &if_match).await?)
}

/// Remove an item and its attachments.
///
/// If it fails half-way, repeating it finishes the work.
#[utoipa::path(delete, path = "/items/{id}", tag = "items", params(("id" = ItemId, Path), IfMatchHeader), responses(
    (status = NO_CONTENT, description = "The item and its attachments are gone"),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The item has another version by now"),
))]
pub async fn delete_item(
    State(app): State<App>,
    caller: Caller<ItemsWrite>,
    Path(id): Path<ItemId>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    remove(app, caller.owner().clone(), id, if_match).await
}

/// A page of an owner's items.
pub(super) async fn page(store: &Store, owner: &Owner, query: PageQuery) -> Result<Json<ItemPage>, Problem> {
    let after =
        query.cursor.map(|text| Cursor::decode(&text, owner).ok_or_else(foreign_cursor)).transpose()?;
    let page = store.items(owner, query.limit, after).await?;
    Ok(Json(ItemPage { items: page.items, next_cursor: page.next.map(|cursor| cursor.encode(owner)) }))
}

/// Removes an owner's item, then its attachments, also if the caller hangs up meanwhile: nobody would ask again for the files
/// of an item that is gone.
pub(super) async fn remove(
    app: App,
    owner: Owner,
    id: ItemId,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let removal = async move { remove_all(&app, &owner, id, &if_match).await };
    tokio::spawn(removal.in_current_span()).await.unwrap_or_else(|_| Err(Problem::panicked()))
}

/// The item goes first, so that no attachment can be added meanwhile.
async fn remove_all(app: &App, owner: &Owner, id: ItemId, if_match: &IfMatch) -> Result<StatusCode, Problem> {
    let store = app.store();
    let deleted = store.delete_item(owner, id, if_match).await?;
    if deleted == Deleted::Stale {
        return Err(stale());
    }
    let left: Vec<_> = store.attachments(owner, id).await?.iter().map(|attachment| attachment.id).collect();
    if left.is_empty() {
        return if deleted == Deleted::Done { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) };
    }
    // Without a bucket the records stay, so that nothing forgets the files while they are there.
    let Some(bucket) = app.bucket() else { return Ok(StatusCode::NO_CONTENT) };
    bucket.delete(owner, id, &left).await?;
    store.forget_attachments(owner, id, &left).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn missing() -> Problem {
    Problem::not_found("item")
}

fn written(written: Written) -> Result<Response, Problem> {
    match written {
        Written::Done(item) => Ok(with_etag(item)),
        Written::Missing => Err(missing()),
        Written::Stale => Err(stale()),
    }
}

fn stale() -> Problem {
    let detail = "The item has another version by now. Read it again and apply the change to what it is now.";
    Problem::new(StatusCode::PRECONDITION_FAILED, detail).kind(Kind::VersionConflict)
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

/// The header `Idempotency-Key`, if it was sent.
pub struct IdempotencyKeyHeader(Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKeyHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let key = value.to_str().ok().and_then(IdempotencyKey::new).filter(|_| values.next().is_none());
        key.map(|key| Self(Some(key))).ok_or_else(|| {
            let detail = "must be sent once and have 1 to 255 visible ASCII characters, such as a UUID";
            Problem::invalid(vec![FieldError::new("Idempotency-Key", detail)])
        })
    }
}
