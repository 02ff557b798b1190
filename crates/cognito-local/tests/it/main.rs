//! The pool's endpoints and pages, through its router and over TCP.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod authorize;
mod guard;
mod over_tcp;
mod sign_in;
mod support;
mod token;
