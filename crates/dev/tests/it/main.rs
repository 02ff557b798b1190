//! `cargo run` as a newcomer meets it.

mod cargo_run;
mod docs;
mod support;
