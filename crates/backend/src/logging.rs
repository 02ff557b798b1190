//! The log: a line an event on standard output, for people or for log collectors.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Starts the log with a filter as in `RUST_LOG`, of which it passes over what it does not understand. A second call changes
/// nothing.
pub fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal());
    let started = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(true)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}
