#![doc = include_str!("../README.md")]

use std::{
    io::Write,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_config::BehaviorVersion;
use backend::{
    App, Config,
    domain::{SweepOptions, SweepReport},
    logging, services,
};
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{self, service_fn},
};
use serde::de::IgnoredAny;
use tracing::warn;

/// Exit code for a configuration with mistakes, as of the binary `backend`.
const BAD_CONFIGURATION: u8 = 2;

/// How long the start waits for the user pool's keys, of the 10 s that Lambda gives it:
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
const KEYS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long before its deadline a sweep stops: longer than one owner takes.
const SWEEP_MARGIN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::from_variables(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return fail(BAD_CONFIGURATION, &error.to_string()),
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error.to_string()),
    }
}

async fn run(config: Config) -> Result<(), lambda_http::Error> {
    logging::start(&config.log_filter, config.log_format);
    let aws = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(services::dynamodb::client_config(&aws).build());
    let s3 = aws_sdk_s3::Client::from_conf(services::s3::client_config(&aws, false).build());
    let app = App::new(config, dynamodb, Some(s3))?;
    logging::announce(app.config());
    // The image's command decides, so that one image serves both functions.
    if std::env::args().nth(1).as_deref() == Some("sweep") {
        return lambda_runtime::run(service_fn(|event| sweep(&app, event))).await;
    }
    tokio::join!(fetch_keys(&app), app.load_revocations());
    lambda_http::run(backend::router(&app)).await
}

/// Sweeps until shortly before the function is stopped; the next event goes on from there.
async fn sweep(app: &App, event: LambdaEvent<IgnoredAny>) -> Result<SweepReport, lambda_http::Error> {
    let deadline = UNIX_EPOCH + Duration::from_millis(event.context.deadline);
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let stop_at = Some(Instant::now() + left.saturating_sub(SWEEP_MARGIN));
    Ok(app.sweep().run(&SweepOptions { stop_at, ..SweepOptions::default() }).await?)
}

/// A failure does not prevent the start: requests without a token need no keys, and the others fetch them again.
async fn fetch_keys(app: &App) {
    match tokio::time::timeout(KEYS_TIMEOUT, app.verifier().ready()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "no keys at the start"),
        Err(_) => warn!(seconds = KEYS_TIMEOUT.as_secs(), "no keys at the start in time"),
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "backend-lambda: {text}");
    ExitCode::from(code)
}
