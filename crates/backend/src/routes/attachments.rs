//! Attachments: their records are here, their bytes go between the caller and S3.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use super::items;
use crate::{
    App,
    auth::{Caller, ItemsRead, ItemsWrite},
    extract::{Json, Path},
    models::{
        Timestamp,
        attachment::{
            Attachment, AttachmentDownload, AttachmentId, AttachmentList, CreatedAttachment, NewAttachment,
        },
        item::ItemId,
        owner::Owner,
    },
    problem::{FieldError, Kind, Problem, ProblemBody},
    services::{dynamodb::Reserved, s3::Bucket},
};

/// Create an attachment.
///
/// The answer says how to upload the file to S3: exactly `size` bytes of exactly `content_type`, until the URL expires. The
/// attachment is visible once the upload is complete.
#[utoipa::path(post, path = "/items/{id}/attachments", tag = "attachments", params(("id" = ItemId, Path)),
    request_body = NewAttachment, responses(
    (status = CREATED, body = CreatedAttachment, headers(("location" = String, description = "Where it will be"))),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such item, or it is another user's"),
    (status = CONFLICT, body = ProblemBody, description = "The item has as many attachments as it may have"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub async fn create_attachment(
    State(app): State<App>,
    caller: Caller<ItemsWrite>,
    Path(item): Path<ItemId>,
    Json(new): Json<NewAttachment>,
) -> Result<Response, Problem> {
    let bucket = bucket(&app)?;
    let limits = &app.config().attachments;
    if new.size > limits.max_bytes {
        let detail = format!("must be at most {} bytes", limits.max_bytes);
        return Err(Problem::invalid(vec![FieldError::new("/size", detail)]));
    }
    let mut attachment = Attachment {
        id: AttachmentId::generate(),
        filename: new.filename,
        content_type: new.content_type,
        size: new.size,
        created_at: Timestamp::now(),
    };
    let upload = bucket.presign_upload(caller.owner(), item, &attachment).await?;
    // Not before the signature: what is counted from here must not end while the URL still works.
    attachment.created_at = Timestamp::now();
    reserve(&app, bucket, caller.owner(), item, &attachment).await?;
    let location = HeaderValue::try_from(format!("/items/{item}/attachments/{}", attachment.id));
    let created = (StatusCode::CREATED, Json(CreatedAttachment { attachment, upload }));
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
pub async fn list_attachments(
    State(app): State<App>,
    caller: Caller<ItemsRead>,
    Path(item): Path<ItemId>,
) -> Result<Json<AttachmentList>, Problem> {
    let bucket = bucket(&app)?;
    let mut attachments = app.store().attachments(caller.owner(), item).await?;
    if attachments.is_empty() {
        // Only now does it matter whether the item has none or is not there.
        app.store().item(caller.owner(), item).await?.ok_or_else(items::missing)?;
    } else {
        let uploaded = bucket.uploaded(caller.owner(), item).await?;
        attachments.retain(|attachment| uploaded.contains(&attachment.id));
    }
    Ok(Json(AttachmentList { attachments }))
}

/// Read an attachment, with a URL to download it from.
#[utoipa::path(get, path = "/items/{id}/attachments/{attachment_id}", tag = "attachments",
    params(("id" = ItemId, Path), ("attachment_id" = AttachmentId, Path)), responses(
    (status = OK, body = AttachmentDownload),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such attachment, or it is another user's"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub async fn show_attachment(
    State(app): State<App>,
    caller: Caller<ItemsRead>,
    Path((item, id)): Path<(ItemId, AttachmentId)>,
) -> Result<Response, Problem> {
    let bucket = bucket(&app)?;
    let attachment = app.store().attachment(caller.owner(), item, id).await?.ok_or_else(missing)?;
    if !bucket.is_uploaded(caller.owner(), item, id).await? {
        return Err(missing());
    }
    let download = bucket.presign_download(caller.owner(), item, &attachment).await?;
    // The URL is a secret while it works.
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(AttachmentDownload { attachment, download })).into_response())
}

/// Remove an attachment.
#[utoipa::path(delete, path = "/items/{id}/attachments/{attachment_id}", tag = "attachments",
    params(("id" = ItemId, Path), ("attachment_id" = AttachmentId, Path)), responses(
    (status = NO_CONTENT, description = "The attachment is gone"),
    (status = NOT_FOUND, body = ProblemBody, description = "There is no such attachment, or it is another user's"),
    (status = NOT_IMPLEMENTED, body = ProblemBody, description = "This server keeps no attachments"),
))]
pub async fn delete_attachment(
    State(app): State<App>,
    caller: Caller<ItemsWrite>,
    Path((item, id)): Path<(ItemId, AttachmentId)>,
) -> Result<StatusCode, Problem> {
    // The file goes first: while its record is there, a failure half-way is finished by trying again.
    bucket(&app)?.delete(caller.owner(), item, &[id]).await?;
    if app.store().release_attachment(caller.owner(), item, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing())
    }
}

/// Takes a place for the attachment, of one that was never uploaded if there is no other.
async fn reserve(
    app: &App,
    bucket: &Bucket,
    owner: &Owner,
    item: ItemId,
    attachment: &Attachment,
) -> Result<(), Problem> {
    let limit = app.config().attachments.per_item;
    let mut reserved = app.store().reserve_attachment(owner, item, attachment, limit).await?;
    if reserved == Reserved::Full && release_abandoned(app, bucket, owner, item).await? {
        reserved = app.store().reserve_attachment(owner, item, attachment, limit).await?;
    }
    match reserved {
        Reserved::Done => Ok(()),
        Reserved::MissingItem => Err(items::missing()),
        Reserved::Full => {
            let detail = format!("An item may have {limit} attachments. Remove one first.");
            Err(Problem::new(StatusCode::CONFLICT, detail).kind(Kind::TooManyAttachments))
        }
    }
}

/// Gives back the places of attachments whose upload can no longer come. True if there were any.
///
/// An upload may begin until its URL expires, and is given as long again to end.
async fn release_abandoned(app: &App, bucket: &Bucket, owner: &Owner, item: ItemId) -> Result<bool, Problem> {
    let records = app.store().attachments(owner, item).await?;
    let uploaded = bucket.uploaded(owner, item).await?;
    let lifetime = app.config().attachments.url_lifetime;
    let now = Timestamp::now().instant();
    let mut released = false;
    for record in records {
        let has_expired = record.created_at.instant() + 2 * lifetime < now;
        if has_expired
            && !uploaded.contains(&record.id)
            && !bucket.is_uploaded(owner, item, record.id).await?
        {
            released |= app.store().release_attachment(owner, item, record.id).await?;
        }
    }
    Ok(released)
}

fn bucket(app: &App) -> Result<&Bucket, Problem> {
    app.bucket().ok_or_else(|| Problem::new(StatusCode::NOT_IMPLEMENTED, "This server keeps no attachments."))
}

fn missing() -> Problem {
    Problem::not_found("attachment")
}
