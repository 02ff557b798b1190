#![doc = include_str!("../README.md")]

mod access;
mod api;
mod arguments;
mod clock;
mod commands;
mod crash;
mod draft;
mod editor;
mod error;
mod http;
mod identity;
mod oauth;
mod output;
mod profile;
mod session;
mod transfer;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{arguments::Arguments, error::Error};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let as_json = arguments.options.json;
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has had enough, and will not miss a message.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error, as_json);
            error.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("the system refuses"))?;
    let outcome = runtime.block_on(commands::run(arguments));
    // The keys' background task, and a read of standard input that waits for a person, must not hold the process.
    runtime.shutdown_background();
    outcome
}
