//! The commands.

mod account;
mod attachments;
mod config;
mod context;
mod edit;
mod items;
mod user_profile;

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use self::context::Context;
use crate::{
    access::AccessTokens,
    api::Api,
    arguments::{Arguments, Command},
    error::Error,
    output::Format,
    profile::Profile,
};

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
