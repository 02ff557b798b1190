//! `cargo run` as a newcomer meets it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_types,
    reason = "what cannot go on must fail the test"
)]

mod browser;
mod cargo_run;
mod docs;
mod environment;
mod landing;
mod mcp;
mod support;
