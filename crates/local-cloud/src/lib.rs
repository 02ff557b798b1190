#![doc = include_str!("../README.md")]

mod dynamodb;
mod listener;
mod s3;
mod user_pool;

use std::io;

pub use cognito_local::PoolConfig;
pub use dynamodb::LocalDynamoDb;
pub use listener::bind_loopback;
pub use s3::LocalS3;
pub use user_pool::LocalUserPool;

/// The access key id that the stand-ins know.
pub const ACCESS_KEY_ID: &str = "local";
/// The secret access key that belongs to [`ACCESS_KEY_ID`]. It guards nothing: all of this is on loopback.
pub const SECRET_ACCESS_KEY: &str = "local-secret";
/// The region that the stand-ins are in.
pub const REGION: &str = "us-east-1";

/// Why a stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its data folder or its listener cannot be used.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The embedded DynamoDB refuses its file or the table.
    #[error("the embedded DynamoDB does not start: {0}")]
    DynamoDb(String),
    /// The embedded S3 refuses its folder.
    #[error("the embedded S3 does not start: {0}")]
    S3(String),
    /// The user pool refuses its file or its configuration.
    #[error("the local user pool does not start")]
    UserPool(#[from] cognito_local::OpenError),
}

impl StartError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
