//! The log: a line an event on standard output, for people or for log collectors.

use std::{
    io::IsTerminal,
    panic::{self, Location, PanicHookInfo},
};

use tracing::{Level, Metadata, error};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// The crates whose details may be logged. What others say below `INFO` can contain requests and answers of AWS, with
/// everything in them, and stays out of the log whatever `RUST_LOG` says.
const OURS: [&str; 5] = ["backend", "cognito_auth", "cognito_local", "dev", "local_cloud"];

/// Starts the log with a filter as in `RUST_LOG`, of which it passes over what it does not understand. A second call changes
/// nothing. From here on a panic is an event of the log, inside the request that it happened in.
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
    match started {
        Ok(()) => panic::set_hook(Box::new(log_panic)),
        Err(_) => tracing::debug!("the log was started before"),
    }
}

/// Says where it happened, and what only in words that are in the program: words that were put together may hold a caller's
/// data.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(Location::to_string);
    let words = panic.payload().downcast_ref::<&str>().copied();
    error!(location, words, "panicked");
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    let origin = event.target().split("::").next().unwrap_or_default();
    *event.level() <= Level::INFO || OURS.contains(&origin)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::writer::BoxMakeWriter;

    use super::*;

    #[test]
    fn a_panic_is_logged_without_what_it_holds() {
        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let buffer = Buffer::default();
        let writer = BoxMakeWriter::new({
            let buffer = buffer.clone();
            move || buffer.clone()
        });
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            log_panic(panic);
            usual(panic);
        }));
        tracing::subscriber::with_default(tracing_subscriber::fmt().with_writer(writer).finish(), || {
            let secret = String::from("a secret");
            panic::catch_unwind(|| panic!("what was read: {secret}")).unwrap_err();
            panic::catch_unwind(|| panic!("known words")).unwrap_err();
        });
        let log = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().filter(|line| line.contains("logging.rs:")).count(), 2, "{log}");
        assert!(log.contains("known words") && !log.contains("a secret"), "{log}");
    }
}
