//! The pool's endpoints and pages, through its router and over TCP.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod account;
mod authorize;
mod aws_api;
mod golden;
mod guard;
mod keys;
mod logout;
mod mfa;
mod openid_connect;
mod over_tcp;
mod program;
mod refresh;
mod sign_in;
mod support;
mod token;
mod user_info;
