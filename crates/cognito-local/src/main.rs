//! The program `cognito-local`.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{error::Error, io};

use clap::{Parser, Subcommand};
use cognito_local::{
    Issuer, LocalPool, PoolConfig, bind_loopback, rotate_keys, serve_on_any_address, withdraw_old_keys,
};
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use url::Url;

/// A local user pool with the endpoints of Amazon Cognito
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The port to listen on
    #[arg(long, default_value_t = 9229)]
    port: u16,
    /// The address to listen on [default: 127.0.0.1 and ::1]
    ///
    /// Whoever can reach another address can read the mailbox: use one only in a container, and publish its port on
    /// 127.0.0.1.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Where clients reach this pool, which names the issuer [default: http://localhost:<port>]
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// Whose URL the tokens name as their issuer [default: that of the configuration, or local]
    #[arg(long)]
    issuer: Option<Issuer>,
    /// The configuration of the pool, a TOML file [default: the demo pool]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The port of the API whose `/docs` can sign in to the demo pool
    #[arg(long, default_value_t = 8000, conflicts_with = "config")]
    api_port: u16,
    /// The folder for users and keys
    #[arg(long, default_value = ".local", global = true, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Keep all data in memory
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Create new signing keys; older tokens stay valid. The pool can be running
    RotateKeys,
    /// Delete the keys that no longer sign: tokens that they signed become invalid
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
            say("New keys sign from now on. Older tokens stay valid until `cognito-local withdraw-keys`.")
        }
        Some(Command::WithdrawKeys) => {
            let count = withdraw_old_keys(&file).await?;
            say(&format!("Deleted {count} keys. Tokens that they signed are no longer valid."))
        }
    }
}

async fn serve_pool(arguments: &Arguments, file: Option<&PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut config = match &arguments.config {
        Some(path) => read_config(path)?,
        None => PoolConfig::demo(arguments.api_port),
    };
    config.issuer = arguments.issuer.unwrap_or(config.issuer);
    let listeners = listen(arguments).await.map_err(|error| {
        format!("cannot listen on port {}: {error}. Choose another one with --port.", arguments.port)
    })?;
    let port =
        listeners.first().map_or(Ok(arguments.port), |l| l.local_addr().map(|address| address.port()))?;
    let url = match &arguments.public_url {
        Some(url) => url.clone(),
        None => format!("http://localhost:{port}").parse()?,
    };
    let pool = LocalPool::open(file.map(PathBuf::as_path), url, config).await?;
    let stop = stop_signal()?;
    say(&description(&pool))?;
    serve_on_any_address(pool, listeners, stop).await;
    Ok(())
}

async fn listen(arguments: &Arguments) -> io::Result<Vec<TcpListener>> {
    match arguments.bind {
        None => bind_loopback(arguments.port).await,
        Some(address) => Ok(vec![TcpListener::bind((address, arguments.port)).await?]),
    }
}

fn read_config(path: &Path) -> Result<PoolConfig, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    PoolConfig::from_toml(&text).map_err(|error| format!("{}: {error}", path.display()).into())
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
    lines.extend([String::new(), "Users, with their initial passwords".to_owned()]);
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

/// Returns a future that is ready after SIGINT or SIGTERM. The handlers are installed when this function returns.
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

/// Returns a future that is ready after Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
