#![doc = include_str!("../README.md")]

mod address_limit;
pub mod app;
pub mod auth;
mod client_address;
pub mod config;
pub mod domain;
mod extract;
mod headers;
mod layers;
mod limit;
pub mod logging;
mod mcp;
pub mod metrics;
pub mod models;
mod oauth;
mod observe;
mod openapi;
pub mod problem;
mod rate_limit;
mod readiness;
mod rejection;
mod router;
mod routes;
pub mod server;
pub mod services;
mod shares;
pub mod telemetry;

pub use app::App;
pub use cognito_auth::BuildError;
pub use config::Config;
pub use layers::surround;
pub use router::{metrics_router, router};
