//! The checks of `cargo xtask check`, in the order of their cost.

use std::{process::Command, time::Instant};

use crate::{circles, documents, repository::Repository};

/// Runs the checks that finish within a coffee break: no browser, no packages from elsewhere.
///
/// # Errors
///
/// The first check that fails.
pub(crate) fn check(repository: &Repository) -> Result<(), String> {
    run(repository, "cargo", &["fmt", "--all", "--check"])?;
    circles::check(repository)?;
    documents::check(repository)?;
    run(
        repository,
        "cargo",
        &["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"],
    )?;
    run(repository, "cargo", &["test", "--workspace", "--lib", "--bins", "--locked", "--quiet"])
}

/// Runs a program in the repository's root and reports its duration.
///
/// # Errors
///
/// The program cannot be started, or exits with a failure.
pub(crate) fn run(repository: &Repository, program: &str, arguments: &[&str]) -> Result<(), String> {
    let line = format!("{program} {}", arguments.join(" "));
    println!("== {line} ==");
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .current_dir(repository.root())
        .status()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    println!("== {line}: {} s ==", started.elapsed().as_secs());
    if status.success() { Ok(()) } else { Err(format!("{line} failed: {status}")) }
}
