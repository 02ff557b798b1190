//! The program `cognito-local`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{error::Error, io};

use clap::{Parser, Subcommand};
use cognito_local::{LocalPool, PoolConfig, rotate_keys, serve, withdraw_old_keys};
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// A user pool on this machine that answers as Amazon Cognito does
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the pool listens, on 127.0.0.1 and ::1
    #[arg(long, default_value_t = 9229)]
    port: u16,
    /// What the pool contains: a TOML file; without it, the demo pool
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The port of the API whose `/docs` may sign in at the demo pool
    #[arg(long, default_value_t = 8000, conflicts_with = "config")]
    api_port: u16,
    /// Where the pool keeps its users and keys
    #[arg(long, default_value = ".local", global = true, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Keep everything in memory, and forget it at the end
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Introduce new signing keys; tokens signed before stay valid. The pool may be running
    RotateKeys,
    /// Withdraw the signing keys that do not sign any more: tokens signed with them are no longer valid
    WithdrawKeys,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let file = arguments.data_dir.join("cognito.sqlite");
    match arguments.command {
        None => serve_pool(&arguments, (!arguments.ephemeral).then_some(&file)).await,
        Some(Command::RotateKeys) => {
            rotate_keys(&file).await?;
            say(
                "New keys sign from now on. Tokens signed before stay valid until `cognito-local withdraw-keys`.",
            )
        }
        Some(Command::WithdrawKeys) => {
            let count = withdraw_old_keys(&file).await?;
            say(&format!("{count} keys are withdrawn, and tokens signed with them no longer valid."))
        }
    }
}

async fn serve_pool(arguments: &Arguments, file: Option<&PathBuf>) -> Result<(), Box<dyn Error>> {
    let config = match &arguments.config {
        Some(path) => read_config(path)?,
        None => PoolConfig::demo(arguments.api_port),
    };
    let listeners = listen(arguments.port).await?;
    let port =
        listeners.first().map_or(Ok(arguments.port), |l| l.local_addr().map(|address| address.port()))?;
    let url = format!("http://localhost:{port}").parse()?;
    let pool = LocalPool::open(file.map(PathBuf::as_path), url, config).await?;
    let stop = stop_signal()?;
    say(&description(&pool))?;
    serve(pool, listeners, stop).await?;
    Ok(())
}

fn read_config(path: &Path) -> Result<PoolConfig, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    PoolConfig::from_toml(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// IPv4 must work; IPv6 is missing on some machines.
async fn listen(port: u16) -> Result<Vec<TcpListener>, Box<dyn Error>> {
    let first = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        format!("port {port} cannot be listened on ({error}): choose another with --port")
    })?;
    let port = first.local_addr()?.port();
    let second = TcpListener::bind(("::1", port)).await.ok();
    Ok(std::iter::once(first).chain(second).collect())
}

fn description(pool: &LocalPool) -> String {
    let origin = pool.public_url().as_str().trim_end_matches('/');
    let mut lines = vec![
        format!("User pool {}", pool.pool_id()),
        format!("  issuer   {}", pool.issuer()),
        format!("  domain   {origin}"),
        format!("  mailbox  {origin}/mailbox"),
        String::new(),
        "Clients".to_owned(),
    ];
    lines.extend(pool.clients().iter().map(|client| match &client.secret {
        None => format!("  {} (public)", client.id),
        Some(secret) => format!("  {} with secret {}", client.id, secret.expose_secret()),
    }));
    lines.extend([String::new(), "Users, with their first passwords".to_owned()]);
    lines.extend(
        pool.users().iter().map(|user| format!("  {} {}", user.username, user.password.expose_secret())),
    );
    lines.join("\n")
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Ctrl-C, or what `kill` sends. The handlers are there when this returns, not only when the future is awaited.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
