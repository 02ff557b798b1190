use crate::{
    config::Attachments as Limits,
    models::{Timestamp, attachment::Attachment},
    services::dynamodb::Freed,
};

/// Returns what the removal of attachments gives back.
///
/// As long as its upload can arrive, an attachment that was removed still counts: otherwise a caller could reserve, release
/// and then upload without end.
pub(super) fn freed(attachments: &[Attachment], limits: &Limits) -> Freed {
    let now = Timestamp::now();
    let mut freed = Freed::default();
    for attachment in attachments {
        if limits.upload_deadline(attachment.created_at.instant(), attachment.size) > now.instant() {
            let until = Timestamp::at(limits.upload_deadline(now.instant(), attachment.size));
            freed.held_until = freed.held_until.max(Some(until));
        } else {
            freed.files += 1;
            freed.bytes += attachment.bytes();
        }
    }
    freed
}
