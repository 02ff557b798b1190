//! The hosted UI in a real browser.
//!
//! These tests need `chromium` and `chromedriver` on the path, and `npm ci` in `tests/openid-client`. They leave a
//! screenshot of each page in the folder `screenshots` of `CARGO_TARGET_TMPDIR`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod accessibility;
mod journey;
mod oidc_client_ts;
mod support;
