//! Bytes between files and S3: streamed, checked, and taken up again when a connection breaks.

mod download;
mod upload;

use std::{path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use md5::{Digest as _, Md5};

pub(crate) use self::{
    download::{Target, download},
    upload::upload,
};
use crate::error::Error;

/// How often a transfer is begun that makes no progress.
const ATTEMPTS: u32 = 4;

/// How long to wait before the next attempt; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest time without a byte moving.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 * 1024; // 64 KiB

/// A bar on standard error; nothing where that is no terminal.
fn progress_bar(name: &str, bytes: u64) -> ProgressBar {
    let template = "{msg}  {bar:30}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style).with_message(crate::output::plain(name))
}

async fn pause(attempt: u32) {
    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt.min(5))).await;
}

/// Why an attempt failed.
enum Failure {
    /// The next one may do better.
    Transient(Error),
    Final(Error),
}

/// The name of a file for the person.
fn display_name(path: &Path) -> String {
    path.display().to_string()
}

/// The MD5 of what has come so far. It protects against broken transfers, not against forgery: TLS does that.
#[derive(Clone, Default)]
struct Checksum(Md5);

impl Checksum {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> [u8; 16] {
        self.0.finalize().into()
    }
}
