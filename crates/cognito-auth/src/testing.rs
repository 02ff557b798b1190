//! Tokens, keys and a clock for the tests of an application (feature `testing`).
//!
//! A [`TestPool`] issues tokens like those of Cognito, and creates a [`Verifier`](crate::Verifier) that accepts them and
//! needs no network:
//!
//! ```
//! use cognito_auth::testing::TestPool;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let pool = TestPool::new();
//! let verifier = pool.verifier();
//!
//! let token = pool.user("alice").in_group("admins").scope("items/write").access_token();
//! assert!(verifier.verify_access(&token).await.unwrap().in_group("admins"));
//!
//! let expired = pool.user("alice").expired().access_token();
//! assert!(verifier.verify_access(&expired).await.is_err());
//! # }
//! ```
#![expect(clippy::expect_used, reason = "test support: a failed step must fail the test")]

pub use self::key::{Algorithm, TestKey};
pub use self::pool::TestPool;
pub use self::server::{JwksServer, Reply};
pub use self::token::TokenBuilder;
pub use crate::test_clock::TestClock;

mod key;
mod pool;
mod server;
mod token;
