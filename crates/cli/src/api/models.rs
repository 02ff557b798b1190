//! The bodies of requests and responses. The OpenAPI document describes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) version: u64,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// The parts of an item that its owner can change.
#[derive(Clone, Serialize)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) description: Option<String>,
}

impl From<&Item> for Content {
    fn from(item: &Item) -> Self {
        Self { title: item.title.clone(), description: item.description.clone() }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ItemPage {
    pub(crate) items: Vec<Item>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) id: Uuid,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) size: u64,
    pub(crate) created_at: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AttachmentList {
    pub(crate) attachments: Vec<Attachment>,
}

/// An attachment whose bytes are to be uploaded.
#[derive(Deserialize)]
pub(crate) struct Upload {
    #[serde(flatten)]
    pub(crate) attachment: Attachment,
    pub(crate) upload: PresignedRequest,
}

/// Where to download an attachment.
#[derive(Deserialize)]
pub(crate) struct Download {
    pub(crate) download: PresignedRequest,
}

/// A request that S3 accepts unchanged. Its URL is a secret while it is valid, so it does not implement `Debug`.
#[derive(Deserialize)]
pub(crate) struct PresignedRequest {
    pub(crate) url: Url,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UserProfile {
    pub(crate) display_name: String,
    pub(crate) bio: Option<String>,
    pub(crate) updated_at: String,
}

/// The part of the metadata document (RFC 9728, section 2) that is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct ResourceMetadata {
    pub(crate) scopes_supported: Vec<String>,
}
