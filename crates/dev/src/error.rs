use std::{io, path::PathBuf};

use backend::config::ConfigError;
use local_cloud::StartError;

/// Why the stack did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    #[error("port {port} is in use; choose another with {flag}, or stop the program that listens there")]
    PortInUse { port: u16, flag: &'static str },
    #[error("cannot listen on port {port} ({flag})")]
    Port { port: u16, flag: &'static str, source: io::Error },
    #[error("cannot listen on {address} ({variable})")]
    Address { address: String, variable: &'static str, source: io::Error },
    #[error("cannot read {}", .path.display())]
    PoolFile { path: PathBuf, source: io::Error },
    #[error("{}: {mistake}", .path.display())]
    Pool { path: PathBuf, mistake: String },
    #[error("cannot delete the data in {}", .folder.display())]
    Reset { folder: PathBuf, source: io::Error },
    #[error(".env: {0}")]
    EnvFile(&'static str),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Verifier(#[from] backend::BuildError),
    #[error(transparent)]
    Export(#[from] backend::telemetry::ExportError),
    #[error("I/O error")]
    Io(#[from] io::Error),
}
