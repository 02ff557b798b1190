//! What each command does.

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

/// More than the API takes for any text.
const MAX_INPUT_BYTES: u64 = 64 * 1024; // 64 KiB

/// What all commands need.
struct Context<'a> {
    profile: &'a Profile,
    tokens: &'a AccessTokens<'a>,
    api: Api<'a>,
    format: Format,
}

/// Does what was asked.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let format = Format::new(arguments.options.json);
    match arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "items", &mut script);
            let written = io::stdout().write_all(&script);
            return written.map_err(Error::io("standard output cannot be written to"));
        }
        Command::Config => return config::show(&arguments.options, format),
        _ => {}
    }
    let profile = Profile::resolve(&arguments.options)?;
    let tokens = AccessTokens::new(&profile)?;
    if matches!(arguments.command, Command::Token) {
        // Without the API's client: this is what scripts call most.
        return account::token(&tokens, format).await;
    }
    let context = Context { profile: &profile, tokens: &tokens, api: Api::new(&profile, &tokens)?, format };
    context.run(arguments.command).await
}

impl Context<'_> {
    async fn run(&self, command: Command) -> Result<(), Error> {
        match command {
            Command::Login(login) => self.login(&login).await,
            Command::Logout => self.logout().await,
            Command::Whoami => self.whoami().await,
            Command::List(list) => self.list(&list).await,
            Command::Add(add) => self.add(add).await,
            Command::Show { id } => self.show(id).await,
            Command::Edit(edit) => self.edit(&edit).await,
            Command::Rm(remove) => self.remove(&remove).await,
            Command::Attach(attach) => self.attach(&attach).await,
            Command::Detach { id, attachment } => self.detach(id, &attachment).await,
            Command::Download(download) => self.download(&download).await,
            Command::Profile { command } => self.user_profile(command).await,
            Command::Token | Command::Config | Command::Completions { .. } => Ok(()),
        }
    }
}

/// The text itself, or standard input for `-`.
fn text_or_input(text: &str) -> Result<String, Error> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut input = String::new();
    let read = io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut input);
    read.map_err(Error::io("standard input cannot be read as text"))?;
    Ok(input.trim_end_matches(['\r', '\n']).to_owned())
}
