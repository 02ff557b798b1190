#![doc = include_str!("../README.md")]

mod clock;
mod config;
mod directory;
mod grant;
mod http;
mod keys;
mod password;
mod pool;
mod redirect;
mod secret;
mod serve;
mod sign_in;
mod store;
mod token;

pub use clock::Clock;
pub use config::{
    ClientConfig, ClientSecret, Mfa, OAuthFlow, PasswordPolicy, PoolConfig, RefreshTokenRotation,
    ResourceServerConfig, TokenLifetimes, UserConfig,
};
pub use directory::ConfigError;
pub use password::PasswordError;
pub use pool::{ClientSummary, DemoUser, LocalPool, OpenError};
pub use serve::serve;
pub use store::StoreError;
