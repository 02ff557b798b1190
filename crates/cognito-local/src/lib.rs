#![doc = include_str!("../README.md")]

mod accounts;
mod attempt;
mod attributes;
mod auth_flow;
mod clock;
mod config;
mod directory;
mod error;
mod groups;
mod http;
mod keys;
mod mail;
mod mfa;
mod models;
mod password;
mod pool;
mod redirect;
mod refusal;
mod secret;
mod serve;
mod sign_in;
mod srp;
mod store;
mod tokens;
mod urls;
mod user_filter;

pub use clock::Clock;
pub use config::{
    AuthFlow, ClientConfig, ClientSecret, ConfigError, ConfigFileError, FirstFactor, Issuer, Mfa, OAuthFlow,
    PasswordPolicy, PoolConfig, RefreshTokenRotation, ResourceServerConfig, TokenLifetimes, UserConfig,
};
pub use keys::{rotate_keys, withdraw_old_keys};
pub use password::PasswordError;
pub use pool::{ClientSummary, DemoUser, LocalPool, OpenError};
pub use serve::{bind_loopback, serve, serve_on_any_address};
pub use store::StoreError;
