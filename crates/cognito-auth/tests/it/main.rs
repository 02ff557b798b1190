//! The crate as an application uses it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step must fail the test")]

mod alb;
mod client;
mod extractors;
mod key_set;
mod lambda_authorizer;
mod local_pool;
mod properties;
mod public_types;
mod readme;
mod reference;
mod rules;
mod step_up;
mod token_cache;
mod tower_layer;
