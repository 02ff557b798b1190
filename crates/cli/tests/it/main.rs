//! The built program against the local stack, over real sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod account;
mod attachments;
mod browser;
mod edit;
mod failures;
mod interface;
mod items;
mod keyring;
mod login;
mod proxy;
mod refresh;
mod secrets;
mod stack;
mod terminal;
