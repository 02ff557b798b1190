//! Attachments: their records are here, their bytes go between the caller and S3.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    auth::{Caller, ItemsRead, ItemsWrite},
    domain::Attachments,
    extract::{Json, Path},
    models::{
        attachment::{AttachmentDownload, AttachmentId, AttachmentList, CreatedAttachment, NewAttachment},
        item::ItemId,
    },
    problem::{Problem, ProblemBody},
};

/// Create an attachment.
///
/// The answer says how to upload the file to S3, once: exactly `size` bytes of exactly `content_type`, with exactly the
/// checksum if one was given, until the URL expires. The attachment is visible once the upload is complete.
#[utoipa::path(post, path = "/items/{id}/attachments", tag = "attachments", params(("id" = ItemId, Path)),
    request_body = NewAttachment, responses(
    (status = CREATED, body = CreatedAttachment, headers(("location" = String, description = "Where it will be"))),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = CONFLICT, body = ProblemBody, description = "The item has as many attachments as it may have, or the caller keeps as much as the quota allows"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub(crate) async fn create_attachment(
    State(attachments): State<Attachments>,
    caller: Caller<ItemsWrite>,
    Path(item): Path<ItemId>,
    Json(new): Json<NewAttachment>,
) -> Result<Response, Problem> {
    let created = attachments.create(caller.owner(), item, new).await?;
    let location = HeaderValue::try_from(format!("/items/{item}/attachments/{}", created.attachment.id));
    let created = (StatusCode::CREATED, Json(created));
    Ok(match location {
        Ok(location) => ([(header::LOCATION, location)], created).into_response(),
        Err(_) => created.into_response(),
    })
}

/// List an item's attachments, oldest first.
///
/// Those that were not uploaded yet are not among them.
#[utoipa::path(get, path = "/items/{id}/attachments", tag = "attachments", params(("id" = ItemId, Path)), responses(
    (status = OK, body = AttachmentList),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub(crate) async fn list_attachments(
    State(attachments): State<Attachments>,
    caller: Caller<ItemsRead>,
    Path(item): Path<ItemId>,
) -> Result<Json<AttachmentList>, Problem> {
    Ok(Json(attachments.list(caller.owner(), item).await?))
}

/// Read an attachment, with a URL to download it from.
#[utoipa::path(get, path = "/items/{id}/attachments/{attachment_id}", tag = "attachments",
    params(("id" = ItemId, Path), ("attachment_id" = AttachmentId, Path)), responses(
    (status = OK, body = AttachmentDownload),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such attachment, or it is another user's"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub(crate) async fn show_attachment(
    State(attachments): State<Attachments>,
    caller: Caller<ItemsRead>,
    Path((item, id)): Path<(ItemId, AttachmentId)>,
) -> Result<Json<AttachmentDownload>, Problem> {
    Ok(Json(attachments.read(caller.owner(), item, id).await?))
}

/// Remove an attachment.
#[utoipa::path(delete, path = "/items/{id}/attachments/{attachment_id}", tag = "attachments",
    params(("id" = ItemId, Path), ("attachment_id" = AttachmentId, Path)), responses(
    (status = NO_CONTENT, description = "The attachment is gone"),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such attachment, or it is another user's"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub(crate) async fn delete_attachment(
    State(attachments): State<Attachments>,
    caller: Caller<ItemsWrite>,
    Path((item, id)): Path<(ItemId, AttachmentId)>,
) -> Result<StatusCode, Problem> {
    attachments.remove(caller.owner(), item, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
