//! The resource server as it runs in production: `backend`.

use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use aws_config::BehaviorVersion;
use axum::body::Body;
use backend::{
    App, Config,
    domain::SweepOptions,
    logging,
    problem::chain,
    server::{bind, serve, stop_signal},
    services, telemetry,
};
use clap::{Parser, Subcommand};
use http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::info;

/// A request makes hundreds of small allocations, most of them in the AWS SDK; with the system's allocator they take a fifth of
/// its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a configuration with mistakes, so that supervisors can tell it from a crash.
const BAD_CONFIGURATION: u8 = 2;

/// How long `backend healthcheck` waits for its answer.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// An OAuth 2.0 resource server for Amazon Cognito: verifies access tokens and keeps items in DynamoDB.
///
/// It is configured by environment variables, also from a file `.env` in the working directory; see `.env.example`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Check the configuration, print every mistake, and exit.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ask the server on BIND_ADDRESS whether it is alive; exit code 0 if so. For containers without a shell.
    Healthcheck,
    /// Remove files and records that nothing refers to, and exit. It may be stopped; the next sweep goes on from there.
    Sweep {
        /// Count what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A missing file is not an error; variables that are set already win over the file.
    match dotenvy::from_path(".env") {
        // Its text is the line, which may hold a secret.
        Err(dotenvy::Error::LineParse(..)) => {
            return fail(
                BAD_CONFIGURATION,
                ".env: a line cannot be read; write NAME=value, and a value with spaces in quotes",
            );
        }
        Err(error) if !error.not_found() => return fail(BAD_CONFIGURATION, &format!(".env: {error}")),
        _ => {}
    }
    let config = match Config::from_variables(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return fail(BAD_CONFIGURATION, &error.to_string()),
    };
    if arguments.check_config {
        return say("The configuration is complete.");
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("no runtime: {error}")),
    };
    let result = match arguments.command {
        Some(Command::Healthcheck) => runtime.block_on(check_health(config.bind_address)),
        Some(Command::Sweep { dry_run }) => runtime.block_on(sweep(config, dry_run)),
        None => runtime.block_on(run(config)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error.to_string()),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    logging::start(&config.log_filter, config.log_format);
    let address = config.bind_address;
    let listener = bind(address).await.map_err(|error| format!("BIND_ADDRESS {address}: {error}"))?;
    let export = telemetry::start(config.telemetry, config.public_url.scheme())?;
    let limits = config.limits.clone();
    let metrics_listener = match config.metrics_address {
        Some(address) => {
            let bound = bind(address).await;
            Some(bound.map_err(|error| format!("METRICS_ADDRESS {address}: {error}"))?)
        }
        None => None,
    };
    let app = app(config).await?;
    logging::announce(app.config());
    app.start();
    if let Some(listener) = metrics_listener {
        let (router, limits) = (backend::metrics_router(&app), limits.clone());
        tokio::spawn(async move { serve(router, vec![listener], &limits, std::future::pending()).await });
    }
    let stop = async {
        if let Err(error) = stop_signal().await {
            tracing::error!(%error, "signals cannot be listened to");
        }
        info!("stopping");
    };
    serve(backend::router(&app), vec![listener], &limits, stop).await?;
    app.finish().await;
    export.stop().await;
    info!("stopped");
    Ok(())
}

async fn sweep(config: Config, dry_run: bool) -> Result<(), Box<dyn Error>> {
    logging::start(&config.log_filter, config.log_format);
    let options = SweepOptions { dry_run, ..SweepOptions::default() };
    app(config).await?.sweep().run(&options).await.map_err(|error| chain(&error))?;
    Ok(())
}

async fn app(config: Config) -> Result<App, Box<dyn Error>> {
    let aws = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(services::dynamodb::client_config(&aws).build());
    let has_endpoint = |name| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let path_style = has_endpoint("AWS_ENDPOINT_URL_S3") || has_endpoint("AWS_ENDPOINT_URL");
    let s3 = aws_sdk_s3::Client::from_conf(services::s3::client_config(&aws, path_style).build());
    Ok(App::new(config, dynamodb, Some(s3))?)
}

async fn check_health(mut address: SocketAddr) -> Result<(), Box<dyn Error>> {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            [0, 0, 0, 0, 0, 0, 0, 1].into()
        });
    }
    match tokio::time::timeout(HEALTHCHECK_TIMEOUT, health_status(address)).await {
        Ok(Ok(StatusCode::OK)) => Ok(()),
        Ok(Ok(status)) => Err(format!("{address} answered: {status}").into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("{address} did not answer in {} s", HEALTHCHECK_TIMEOUT.as_secs()).into()),
    }
}

async fn health_status(address: SocketAddr) -> Result<StatusCode, Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::get("/health/live").header(header::HOST, address.to_string()).body(Body::empty())?;
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status()),
        result = connection => Err(result.err().map_or("the connection was closed".into(), Into::into)),
    }
}

fn say(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "backend: {text}");
    ExitCode::from(code)
}
