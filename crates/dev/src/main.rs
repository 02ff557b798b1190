#![doc = include_str!("../README.md")]

mod arguments;
mod banner;
mod error;
mod landing;
mod pool;
mod progress;
mod stack;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use backend::{
    config::{Limits, LogFormat},
    logging,
    problem::chain,
    server::{serve, stop_signal},
};
use clap::Parser;

use crate::{arguments::Arguments, error::StackError, stack::Stack};

/// The log without `RUST_LOG`: the backend's requests, and what goes wrong anywhere.
const DEFAULT_LOG: &str = "warn,backend=info,cognito_auth=info,cognito_local=info,dynoxide=error";

/// How long running requests may take to finish after Ctrl-C, unless `SHUTDOWN_TIMEOUT_SECONDS` is set.
const STOP_TIMEOUT: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<(), StackError> {
    load_env_file()?;
    let filter = variable("RUST_LOG").unwrap_or_else(|| DEFAULT_LOG.to_owned());
    let format = variable("LOG_FORMAT").and_then(|format| format.parse().ok());
    logging::start(&filter, format.unwrap_or(LogFormat::Text));
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(run(arguments));
    runtime.shutdown_background();
    result
}

/// A missing file is not an error. Variables that are set already win over the file.
fn load_env_file() -> Result<(), StackError> {
    match dotenvy::from_path(".env") {
        // The error's own text is the line, which may hold a secret.
        Err(dotenvy::Error::LineParse(..)) => Err(StackError::EnvFile("a line is not NAME=value")),
        Err(dotenvy::Error::Io(error)) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

async fn run(arguments: &Arguments) -> Result<(), StackError> {
    progress::print("  Starting the backend with what it needs\n");
    let stack = Stack::start(arguments, &variable).await?;
    banner::print(&stack, arguments);
    let router = landing::surround(backend::router(&stack.app), &stack, arguments);
    let Stack { app, api_listeners, metrics_listener, user_pool, dynamodb, s3, export, .. } = stack;
    app.start();
    let mut limits = app.config().limits.clone();
    if variable("SHUTDOWN_TIMEOUT_SECONDS").is_none() {
        limits = Limits { shutdown_timeout: STOP_TIMEOUT, ..limits };
    }
    if let Some(listener) = metrics_listener {
        let (router, limits) = (backend::metrics_router(&app), limits.clone());
        tokio::spawn(async move { serve(router, vec![listener], &limits, std::future::pending()).await });
    }
    let stop = async {
        if let Err(error) = stop_signal().await {
            let _ = writeln!(io::stderr(), "error: cannot wait for signals: {error}");
        }
    };
    serve(router, api_listeners, &limits, stop).await?;
    app.finish().await;
    export.stop().await;
    drop(app);
    tokio::join!(
        async {
            if let Some(pool) = user_pool {
                pool.stop().await
            }
        },
        async {
            if let Some(dynamodb) = dynamodb {
                dynamodb.stop().await
            }
        },
        async {
            if let Some(s3) = s3 {
                s3.stop().await
            }
        },
    );
    Ok(())
}
