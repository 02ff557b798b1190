#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
//!
//! ## Pages
//!
//! - [`guide::rules`]: what is checked, in which order, and why.
//! - [`guide::key_set`]: how keys are fetched and for how long they are used.
//! - [`guide::policies`]: scopes, groups, conditions, and the responses to rejected callers.

pub use self::access_token::{Access, AccessToken, Principal};
#[cfg(feature = "axum")]
pub use self::axum::Caller;
pub use self::builder::VerifierBuilder;
pub use self::claims::ClaimError;
pub use self::error::{BuildError, ObjectError, Part, SyntaxError, VerifyError};
pub use self::id_token::{Id, IdToken, IdTokenError};
pub use self::keys::{FetchCause, FetchError, HttpError, JwksError, KeyFetch, KeyFetcher, KeySetError};
#[doc(hidden)]
pub use self::policy::is_scope as __is_scope;
pub use self::policy::{AnyOf, Authenticated, Group, HasScope, InGroup, MaxAge, Policy, RecentSignIn, Scope};
pub use self::pool::{PoolError, UserPool};
pub use self::rejection::{AuthRejection, RejectionKind};
pub use self::requirements::{Alternative, Requirements};
pub use self::resource_server::{ResourceServer, ResourceServerBuilder};
pub use self::stats::{PoolStats, Stats};
pub use self::token::Token;
pub use self::verifier::Verifier;

mod access_token;
#[cfg(feature = "alb")]
pub mod alb;
#[cfg(feature = "axum")]
mod axum;
mod bearer;
mod builder;
mod cache;
mod claims;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod error;
pub mod guide;
mod id_token;
mod jose;
mod json;
mod keys;
#[cfg(feature = "lambda-authorizer")]
pub mod lambda_authorizer;
mod loopback;
mod policy;
mod pool;
mod rejection;
mod requirements;
mod resource_server;
mod stats;
#[cfg(feature = "testing")]
mod test_clock;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
#[cfg(feature = "tower")]
pub mod tower;
mod verifier;
#[cfg(test)]
mod wycheproof;
