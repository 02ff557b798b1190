//! What uploads and downloads share: limits, progress, and the kinds of failure.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    error::{Error, Exit},
    http, output,
};

/// The longest time without a byte moving.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an attempt failed.
pub(super) enum Failure {
    /// Another attempt may succeed.
    Transient(Error),
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// The pauses between attempts that make no progress.
pub(super) fn pauses() -> ExponentialBackoff {
    let first = Duration::from_millis(500);
    ExponentialBuilder::default().with_min_delay(first).with_max_times(3).with_jitter().build()
}

/// A progress bar on standard error; nothing if that is not a terminal.
pub(super) fn progress_bar(name: &str, bytes: u64) -> ProgressBar {
    let template = "{msg}  {bar:30}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style).with_message(output::plain(name))
}

/// The failure of a transfer that broke; `what` is such as `the upload of a.txt`.
pub(super) fn interrupted(what: &str, hint: &str) -> Error {
    Error::new(Exit::Unavailable, format!("{what} was interrupted"), hint)
}

pub(super) fn stalled(what: &str) -> Failure {
    let seconds = STALL_TIMEOUT.as_secs();
    let what = format!("{what} made no progress for {seconds} s");
    Failure::Transient(Error::new(Exit::Unavailable, what, "Try again."))
}

/// The failure of a request to S3 that got no response.
pub(super) fn no_response(what: &str, error: reqwest::Error) -> Failure {
    Failure::Transient(if error.is_connect() {
        http::unreachable("the storage of attachments", error)
    } else {
        interrupted(what, "Try again.").with_source(error.without_url())
    })
}
