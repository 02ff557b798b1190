//! The operations of this application, for routes, jobs and other front doors alike. They know nothing of HTTP.

mod attachments;
mod error;
mod freed;
mod items;
mod profiles;
mod revocations;
mod sweep;

pub use self::{
    attachments::Attachments,
    error::Error,
    items::Items,
    profiles::Profiles,
    revocations::Revocations,
    sweep::{Sweep, SweepOptions, SweepReport},
};
