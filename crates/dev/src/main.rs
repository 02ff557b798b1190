#![doc = include_str!("../README.md")]

mod arguments;
mod banner;
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

use crate::{
    arguments::Arguments,
    stack::{Stack, StackError},
};

/// What is logged when `RUST_LOG` does not say: the backend's requests, and what goes wrong anywhere.
const DEFAULT_LOG: &str = "warn,backend=info,cognito_auth=info,cognito_local=info,dynoxide=error";

/// How long running requests may take to finish: who presses Ctrl-C waits for it.
const STOP_TIMEOUT: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_LOG.to_owned());
    logging::start(&filter, LogFormat::Text);
    let result = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let result = runtime.block_on(run(&arguments));
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(StackError::from(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), StackError> {
    let stack = Stack::start(arguments).await?;
    banner::print(&stack, arguments)?;
    let Stack { app, api_listeners, user_pool, dynamodb, s3, .. } = stack;
    app.fetch_keys();
    let limits = Limits { shutdown_timeout: STOP_TIMEOUT, ..app.config().limits.clone() };
    let stop = async {
        if let Err(error) = stop_signal().await {
            let _ = writeln!(io::stderr(), "error: signals cannot be listened to: {error}");
        }
    };
    serve(backend::router(&app), api_listeners, &limits, stop).await?;
    drop(app);
    tokio::join!(user_pool.stop(), dynamodb.stop(), s3.stop());
    Ok(())
}
