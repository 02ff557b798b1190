//! The log: a line an event on standard output, for people or for log collectors.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// The crates whose details may be logged. What others say below `INFO` can contain requests and answers of AWS, with
/// everything in them, and stays out of the log whatever `RUST_LOG` says.
const OURS: [&str; 5] = ["backend", "cognito_auth", "cognito_local", "dev", "local_cloud"];

/// Starts the log with a filter as in `RUST_LOG`, of which it passes over what it does not understand. A second call changes
/// nothing.
pub fn start(filter: &str, format: LogFormat) {
    let registry = tracing_subscriber::registry().with(EnvFilter::new(filter));
    let lines = fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal());
    let started = match format {
        LogFormat::Text => registry.with(lines.with_filter(filter_fn(may_be_logged))).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines.with_filter(filter_fn(may_be_logged))).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    let origin = event.target().split("::").next().unwrap_or_default();
    *event.level() <= Level::INFO || OURS.contains(&origin)
}
