#![doc = include_str!("../README.md")]

mod access;
mod api;
mod arguments;
mod callback;
mod commands;
mod crash;
mod draft;
mod error;
mod http;
mod identity;
mod keyring;
mod oauth;
mod output;
mod profile;
mod session;
mod sign_in;
mod store;
mod transfer;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{arguments::Arguments, error::Error};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let as_json = arguments.options.json;
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of standard output has closed it, and does not need a message.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error, as_json);
            ExitCode::from(error.exit() as u8)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("cannot start"))?;
    let outcome = runtime.block_on(commands::run(arguments));
    // The background task of the verifier, and a pending read of standard input, must not keep the process running.
    runtime.shutdown_background();
    outcome
}
