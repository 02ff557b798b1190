//! The commands.

mod account;
mod attachments;
mod config;
mod edit;
mod items;
mod user_profile;

use std::io::{self, Read as _, Write as _};

use clap::CommandFactory as _;

use crate::{
    access::AccessTokens,
    api::Api,
    arguments::{Arguments, Command},
    error::Error,
    output::Format,
    profile::Profile,
};

/// More than the API accepts for any text.
const MAX_INPUT_BYTES: u64 = 64 * 1024; // 64 KiB

/// The profile, its tokens and its API, and the format of results.
struct Context<'a> {
    profile: &'a Profile,
    tokens: &'a AccessTokens<'a>,
    api: Api<'a>,
    format: Format,
}

/// Runs the command that the arguments name.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let format = Format::new(arguments.options.json);
    if let Command::Completions { shell } = arguments.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "items", &mut script);
        return io::stdout().write_all(&script).map_err(Error::io("cannot write to standard output"));
    }
    let options = arguments.options;
    let profile = Profile::resolve(options.profile.as_deref(), options.settings, options.verbose)?;
    let tokens = AccessTokens::new(&profile)?;
    let context = Context { profile: &profile, tokens: &tokens, api: Api::new(&profile, &tokens)?, format };
    match arguments.command {
        Command::Login(login) => context.login(&login).await,
        Command::Logout => context.logout().await,
        Command::Whoami => context.whoami().await,
        Command::Token => context.token().await,
        Command::List(list) => context.list(&list).await,
        Command::Add(add) => context.add(add).await,
        Command::Show { id } => context.show(id).await,
        Command::Edit(edit) => context.edit(&edit).await,
        Command::Rm(remove) => context.remove(&remove).await,
        Command::Attach(attach) => context.attach(&attach).await,
        Command::Detach { id, attachment } => context.detach(id, &attachment).await,
        Command::Download(download) => context.download(&download).await,
        Command::Profile { command } => context.user_profile(command).await,
        Command::Config => context.config(),
        Command::Completions { .. } => Ok(()),
    }
}

/// Applies the action to each entry until it fails. Also returns the results from before the failure.
async fn until_failure<T, R>(
    entries: impl IntoIterator<Item = T>,
    mut action: impl AsyncFnMut(T) -> Result<R, Error>,
) -> (Vec<R>, Result<(), Error>) {
    let mut done = Vec::new();
    for entry in entries {
        match action(entry).await {
            Ok(result) => done.push(result),
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// Returns the text itself, or standard input for `-`.
fn text_or_input(text: &str) -> Result<String, Error> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut input = String::new();
    let read = io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut input);
    read.map_err(Error::io("cannot read standard input as text"))?;
    Ok(input.trim_end_matches(['\r', '\n']).to_owned())
}
