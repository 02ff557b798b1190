//! Limits on what callers may use.

use std::time::Duration;

use time::OffsetDateTime;

use super::variables::Variables;

/// Limits per caller, request, connection and address.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `MAX_BODY_BYTES` (default 65536, 64 KiB).
    pub body_bytes: usize,
    /// `REQUEST_TIMEOUT_SECONDS` (default 10): how long a body may take to arrive, then 408; and the request, then 503.
    pub request_timeout: Duration,
    /// `HEADER_TIMEOUT_SECONDS` (default 10): how long a connection may take to send a request's head, idle time included.
    pub header_timeout: Duration,
    /// `MAX_CONCURRENT_REQUESTS` (default 1024): beyond it 503.
    pub concurrent_requests: usize,
    /// `CONCURRENT_REQUESTS_PER_CALLER` (default 16): beyond it 429.
    pub concurrent_requests_per_caller: usize,
    /// `WRITE_TIMEOUT_SECONDS` (default 10): how long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// `MAX_CONNECTIONS` (default 10000): beyond it new ones wait to be accepted.
    pub connections: usize,
    /// `MAX_CONNECTIONS_PER_ADDRESS` (default 500, where proxies are trusted 0): beyond it they are reset; 0 turns it off.
    pub connections_per_address: usize,
    /// `REJECTIONS_PER_MINUTE_PER_ADDRESS` (default 600): rejected requests without a valid token; 0 turns it off.
    pub rejections_per_minute: u32,
    /// `TRUSTED_PROXIES` (default 0): how many proxies of the operator a request passes.
    pub trusted_proxies: usize,
    /// `RATE_LIMIT_PER_MINUTE` (default 1200): requests a caller may make in a minute, beyond it 429; 0 turns it off.
    pub requests_per_minute: u32,
    /// `REVOCATIONS_REQUIRED` (default `false`): whether requests get a 503 while the list of revoked tokens is stale.
    pub revocations_required: bool,
    /// `SHUTDOWN_TIMEOUT_SECONDS` (default 10): how long running requests may take to finish after SIGTERM.
    pub shutdown_timeout: Duration,
}

/// Limits of attachments.
#[derive(Debug, Clone)]
pub struct Attachments {
    /// `ATTACHMENT_MAX_BYTES` (default 268435456, 256 MiB; at most 5 GiB, S3's limit for one PUT).
    pub max_bytes: u64,
    /// `ATTACHMENTS_PER_ITEM` (default 20, at most 100: they are deleted and listed in one page).
    pub per_item: u32,
    /// `ATTACHMENTS_PER_USER` (default 10000; 0 turns it off).
    pub per_user: u64,
    /// `ATTACHMENT_BYTES_PER_USER` (default 10737418240, 10 GiB; 0 turns it off).
    pub bytes_per_user: u64,
    /// `PRESIGNED_URL_SECONDS` (default 900, at most 3600): how long a presigned URL works.
    pub url_lifetime: Duration,
}

/// The slowest upload that is waited for, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 * 1024; // 64 KiB

impl Attachments {
    /// Returns until when an upload of `size` bytes can arrive.
    pub(crate) fn upload_deadline(&self, reserved_at: OffsetDateTime, size: u64) -> OffsetDateTime {
        reserved_at + self.upload_time(size)
    }

    /// Returns how long an upload of `size` bytes can take: it may start until its URL expires, and then gets the same time
    /// again to finish, or more if it is large.
    pub(crate) fn upload_time(&self, size: u64) -> Duration {
        self.url_lifetime + self.url_lifetime.max(Duration::from_secs(size / SLOWEST_UPLOAD))
    }
}

pub(super) fn limits(from: &mut Variables<'_>) -> Limits {
    let trusted_proxies = from.number("TRUSTED_PROXIES", 0, 0, 10) as usize;
    // Behind a proxy, one address stands for many clients.
    let connections_per_address = if trusted_proxies == 0 { 500 } else { 0 };
    Limits {
        body_bytes: from.number("MAX_BODY_BYTES", 64 * 1024, 1024, 1024 * 1024) as usize,
        request_timeout: from.seconds("REQUEST_TIMEOUT_SECONDS", 10, 1, 300),
        header_timeout: from.seconds("HEADER_TIMEOUT_SECONDS", 10, 1, 300),
        concurrent_requests: from.number("MAX_CONCURRENT_REQUESTS", 1024, 1, 1_000_000) as usize,
        connections: from.number("MAX_CONNECTIONS", 10_000, 1, 1_000_000) as usize,
        concurrent_requests_per_caller: from.number("CONCURRENT_REQUESTS_PER_CALLER", 16, 1, 1_000_000)
            as usize,
        write_timeout: from.seconds("WRITE_TIMEOUT_SECONDS", 10, 1, 300),
        connections_per_address: from.number(
            "MAX_CONNECTIONS_PER_ADDRESS",
            connections_per_address,
            0,
            1_000_000,
        ) as usize,
        rejections_per_minute: from.number("REJECTIONS_PER_MINUTE_PER_ADDRESS", 600, 0, 1_000_000_000) as u32,
        trusted_proxies,
        requests_per_minute: from.number("RATE_LIMIT_PER_MINUTE", 1200, 0, 1_000_000_000) as u32,
        revocations_required: from.flag("REVOCATIONS_REQUIRED", false),
        shutdown_timeout: from.seconds("SHUTDOWN_TIMEOUT_SECONDS", 10, 1, 300),
    }
}

pub(super) fn attachments(from: &mut Variables<'_>) -> Attachments {
    const MIB: u64 = 1024 * 1024;
    // The largest object that one PUT can make:
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
    const S3_PUT_LIMIT: u64 = 5 * 1024 * MIB;
    Attachments {
        max_bytes: from.number("ATTACHMENT_MAX_BYTES", 256 * MIB, 1, S3_PUT_LIMIT),
        per_item: from.number("ATTACHMENTS_PER_ITEM", 20, 1, 100) as u32,
        per_user: or_unlimited(from.number("ATTACHMENTS_PER_USER", 10_000, 0, 1_000_000_000)),
        bytes_per_user: or_unlimited(from.number("ATTACHMENT_BYTES_PER_USER", 10 * 1024 * MIB, 0, 1 << 60)),
        url_lifetime: from.seconds("PRESIGNED_URL_SECONDS", 900, 1, 3600),
    }
}

fn or_unlimited(number: u64) -> u64 {
    if number == 0 { u64::MAX } else { number }
}
