#![doc = include_str!("../README.md")]

mod checksum;
mod data;
mod dynamodb;
mod guard;
mod s3;
mod server;
mod signature;
mod user_pool;

use std::{io, path::PathBuf};

pub use aws_credential_types::Credentials;
pub use cognito_local::{ClientConfig, PoolConfig, ResourceServerConfig};
pub use data::{credentials, remove_data};
pub use dynamodb::LocalDynamoDb;
pub use guard::{has_loopback_host, is_loopback_host};
pub use s3::LocalS3;
pub use server::bind_loopback;
pub use user_pool::LocalUserPool;

/// The region of the local services.
pub const REGION: &str = "us-east-1";

/// Why a local service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or the listener cannot be used.
    #[error("{what}")]
    Io {
        /// What failed.
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file with the credentials holds none.
    #[error("{} does not hold AWS credentials; delete it to make new ones", .0.display())]
    Credentials(PathBuf),
    /// The embedded DynamoDB cannot use its file or create the table.
    #[error("cannot start the embedded DynamoDB: {0}")]
    DynamoDb(String),
    /// The embedded S3 cannot use its folder.
    #[error("cannot start the embedded S3: {0}")]
    S3(String),
    /// The user pool cannot use its file or its configuration.
    #[error("cannot start the local user pool")]
    UserPool(#[from] cognito_local::OpenError),
}

impl StartError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
