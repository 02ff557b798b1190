//! The API as its callers see it: the whole router over an embedded DynamoDB and S3, reached through the AWS SDK.
//!
//! `AWS_ENDPOINT_URL_DYNAMODB` puts another DynamoDB in the place of the embedded one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "what cannot go on must fail the test, and some tests print what they measure"
)]

mod admin;
mod attachments;
mod auth;
mod fairness;
mod faults;
mod health;
mod hostile;
mod items;
mod mcp;
mod openapi;
mod operation;
mod permissions;
mod revocation;
mod server;
mod support;
mod sweep;
mod telemetry;
mod users;
