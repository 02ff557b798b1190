#![doc = include_str!("../README.md")]

pub mod app;
pub mod auth;
pub mod config;
pub mod extract;
pub mod logging;
pub mod metrics;
pub mod models;
pub mod observe;
pub mod openapi;
pub mod problem;
pub mod rate_limit;
pub mod routes;
pub mod server;
pub mod services;

pub use app::App;
pub use cognito_auth::BuildError;
pub use config::Config;
