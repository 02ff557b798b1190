//! The routes, a module for each resource. A handler is named like its operation in the document: verb and resource.

pub(crate) mod admin;
pub(crate) mod attachments;
pub(crate) mod fallback;
pub(crate) mod health;
pub(crate) mod items;
pub(crate) mod metadata;
pub(crate) mod metrics;
mod page;
mod problems;
pub(crate) mod users;
