//! The hosted UI in a real browser.
//!
//! These tests need `chromium` and `chromedriver` on the path, `npm ci` in `tests/openid-client`, and `npm ci` and
//! `npm run bundle` in `tests/aws-clients`. They leave a screenshot of each page in the folder `screenshots` of `CARGO_TARGET_TMPDIR`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod accessibility;
mod amplify;
mod journey;
mod oidc_client_ts;
mod support;
