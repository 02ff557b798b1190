use std::path::{Path, PathBuf};

use clap::Parser;

/// Runs the backend with a local user pool, DynamoDB and S3, all on this machine.
///
/// The first start creates everything: two users, two app clients, a table and a bucket. Later ones find it as it was.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Port of the API and its documentation
    #[arg(long, default_value_t = 8000)]
    pub(crate) api_port: u16,
    /// Port of the user pool and its hosted UI
    #[arg(long, default_value_t = 9229)]
    pub(crate) cognito_port: u16,
    /// Port of DynamoDB
    #[arg(long, default_value_t = 9230)]
    pub(crate) dynamodb_port: u16,
    /// Port of S3
    #[arg(long, default_value_t = 9231)]
    pub(crate) s3_port: u16,
    /// Folder that keeps the data
    #[arg(long, default_value = ".local")]
    data_dir: PathBuf,
    /// Keep nothing: everything is gone at the end
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
}

impl Arguments {
    /// Where the data lies, unless nothing is kept.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        (!self.ephemeral).then_some(&self.data_dir)
    }
}
