#![doc = include_str!("../README.md")]

pub mod app;
pub mod auth;
mod client_address;
pub mod config;
pub mod extract;
mod layers;
mod limit;
pub mod logging;
pub mod metrics;
pub mod models;
pub mod observe;
mod openapi;
pub mod problem;
pub mod rate_limit;
pub mod readiness;
mod router;
pub mod routes;
pub mod server;
pub mod services;

pub use app::App;
pub use cognito_auth::BuildError;
pub use config::Config;
pub use layers::surround;
pub use router::{metrics_router, router};
