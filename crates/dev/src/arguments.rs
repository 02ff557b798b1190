use std::path::{Path, PathBuf};

use clap::Parser;

/// Runs the backend with a local user pool, DynamoDB and S3 on this machine.
///
/// The first start creates users, app clients, a table and a bucket; later starts use them again. The variables of
/// `.env.example` configure the backend, also from a file `.env` in the working directory.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Port of the API and its documentation [default: that of BIND_ADDRESS, or 8000]
    #[arg(long)]
    pub(crate) api_port: Option<u16>,
    /// Port of the user pool and its hosted UI
    #[arg(long, default_value_t = 9229)]
    pub(crate) cognito_port: u16,
    /// Port of DynamoDB
    #[arg(long, default_value_t = 9230)]
    pub(crate) dynamodb_port: u16,
    /// Port of S3
    #[arg(long, default_value_t = 9231)]
    pub(crate) s3_port: u16,
    /// What the user pool contains, such as users, clients and callback URLs: a TOML file [default: the demo pool]
    #[arg(long, value_name = "FILE")]
    pub(crate) pool: Option<PathBuf>,
    /// Folder for the data
    #[arg(long, default_value = ".local")]
    data_dir: PathBuf,
    /// Keep the data in memory, and lose it at the end
    #[arg(long, conflicts_with_all = ["data_dir", "reset"])]
    ephemeral: bool,
    /// Delete the data in the folder first
    #[arg(long)]
    pub(crate) reset: bool,
}

impl Arguments {
    /// The folder for the data; `None` keeps it in memory.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        (!self.ephemeral).then_some(&self.data_dir)
    }
}
