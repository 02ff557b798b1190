//! The log: one line per event on standard output, for people or for log collectors.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal, Write},
    panic::{self, Location, PanicHookInfo},
};

use tracing::{Level, Metadata, error, info, warn};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{Config, config::LogFormat, observe::AUDIT};

/// The crates that may log below `INFO`. Such events of other crates can contain whole requests and responses of AWS and
/// are dropped whatever `RUST_LOG` says.
const OURS: [&str; 5] = ["backend", "cognito_auth", "cognito_local", "dev", "local_cloud"];

/// Starts the log with a filter as in `RUST_LOG`; invalid directives are ignored. A second call changes nothing.
///
/// From then on a panic is a log event, inside the request in which it happened.
pub fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::new(format!("{filter},{AUDIT}=info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal());
    let started = match format {
        LogFormat::Text => registry.with(lines.with_filter(filter_fn(may_be_logged))).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines.with_filter(filter_fn(may_be_logged))).try_init()
        }
    };
    match started {
        Ok(()) => {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                log_panic(panic);
                // A debug build has no callers' data: it prints the whole message on standard error.
                if cfg!(debug_assertions) {
                    usual(panic);
                }
            }));
        }
        Err(_) => tracing::debug!("the log was started before"),
    }
}

/// Logs what the server accepts, and a warning if it does not check scopes.
pub fn announce(config: &Config) {
    info!(
        address = %config.bind_address,
        public_url = config.resource(),
        user_pool = config.cognito.user_pool.id(),
        table = config.table_name,
        bucket = config.bucket_name,
        "serving"
    );
    if !config.cognito.require_scopes {
        warn!("COGNITO_REQUIRE_SCOPES is false: any valid access token may read and write its owner's data");
    }
}

/// Logs where a panic happened. Its message is logged only if it is a constant: a formatted one may contain a caller's
/// data.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(Location::to_string);
    let words = panic.payload().downcast_ref::<&str>().copied();
    let backtrace = Backtrace::capture(); // Only if `RUST_BACKTRACE` asks for it.
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    if tracing::enabled!(Level::ERROR) {
        error!(location, words, backtrace, "panicked");
    } else {
        let location = location.unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "panicked at {location}: {}", words.unwrap_or_default());
    }
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    let origin = event.target().split("::").next().unwrap_or_default();
    // `rmcp` logs the content of messages at every level but this one.
    if origin == "rmcp" {
        return *event.level() == Level::ERROR;
    }
    *event.level() <= Level::INFO || OURS.contains(&origin)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn panic_is_logged_without_its_values() {
        let log = |filter: &str| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            let arguments = ["--exact", "logging::tests::panics", "--ignored", "--nocapture"];
            let output = child.args(arguments).env("TEST_FILTER", filter).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        let (log_lines, _) = log("info");
        let panics: Vec<_> = log_lines.lines().filter(|line| line.contains("\"panicked\"")).collect();
        assert_eq!(panics.len(), 2, "{log_lines}");
        assert!(panics.iter().all(|line| line.contains("logging.rs:")), "{panics:?}");
        assert!(panics[1].contains("known words"), "{panics:?}");
        assert!(!log_lines.contains("a secret"), "{log_lines}");
        // If the log is off, the panic is still reported.
        let (log_lines, errors) = log("off");
        assert!(!log_lines.contains("panicked"), "{log_lines}");
        let short =
            errors.lines().filter(|line| line.starts_with("panicked at ") && line.contains("logging.rs:"));
        assert_eq!(short.count(), 2, "{errors}");
    }

    #[test]
    #[ignore = "the test above runs it, in a process of its own"]
    fn panics() {
        start(&std::env::var("TEST_FILTER").unwrap_or_default(), LogFormat::Json);
        let secret = String::from("a secret");
        panic::catch_unwind(|| panic!("what was read: {secret}")).unwrap_err();
        panic::catch_unwind(|| panic!("known words")).unwrap_err();
    }
}
