//! The operations of this application, for routes, jobs and other front doors alike. They know nothing of HTTP.

mod attachments;
mod error;
mod items;
mod profiles;
mod revocations;

pub use self::{
    attachments::Attachments, error::Error, items::Items, profiles::Profiles, revocations::Revocations,
};
