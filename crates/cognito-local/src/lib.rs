#![doc = include_str!("../README.md")]

mod account;
mod clock;
mod config;
mod directory;
mod grant;
mod http;
mod introspection;
mod keys;
mod password;
mod pool;
mod redirect;
mod secret;
mod serve;
mod sign_in;
mod store;
mod token;
mod totp;

pub use clock::Clock;
pub use config::{
    ClientConfig, ClientSecret, ConfigError, ConfigFileError, Mfa, OAuthFlow, PasswordPolicy, PoolConfig,
    RefreshTokenRotation, ResourceServerConfig, TokenLifetimes, UserConfig,
};
pub use keys::{rotate_keys, withdraw_old_keys};
pub use password::PasswordError;
pub use pool::{ClientSummary, DemoUser, LocalPool, OpenError};
pub use serve::serve;
pub use store::StoreError;
