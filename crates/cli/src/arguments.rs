//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use uuid::Uuid;

use crate::profile::Settings;

/// Manages your items from a terminal.
///
/// With the local stack running (`cargo run`), `items login` works without any configuration.
#[derive(Debug, Parser)]
#[command(name = "items", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten, next_help_heading = "Global options")]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0 success   1 failure on this machine (files, keyring)   2 usage   3 not signed in
  4 rejected   5 conflict with another change   6 server unreachable or busy";

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Profile to use; `items config` lists all profiles
    #[arg(long, short, global = true, env = "ITEMS_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log requests to standard error
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(flatten, next_help_heading = "Connection (overrides the profile)")]
    pub(crate) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in through the browser
    Login(Login),
    /// Sign out: revoke the refresh token and remove all tokens
    Logout,
    /// Show the user or machine client that is signed in
    Whoami,
    /// Print a valid access token and nothing else
    ///
    /// Refreshes it first if it is about to expire:
    /// curl -H "Authorization: Bearer $(items token)" …
    Token,
    /// List your items, newest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Add an item
    Add(Add),
    /// Show an item with its attachments
    Show {
        /// ID of the item
        id: Uuid,
    },
    /// Edit an item, in your editor or by flags
    Edit(Edit),
    /// Remove items with their attachments
    Rm(Remove),
    /// Attach files to an item
    Attach(Attach),
    /// Remove an attachment from an item
    Detach {
        /// ID of the item
        id: Uuid,
        /// ID or file name of the attachment
        attachment: String,
    },
    /// Download an item's attachments
    Download(Download),
    /// Show or change your public profile
    Profile {
        #[command(subcommand)]
        command: Option<ProfileCommand>,
    },
    /// Show the configuration in effect and the names of all profiles
    Config,
    /// Print a completion script
    ///
    /// bash: items completions bash > ~/.local/share/bash-completion/completions/items
    /// zsh:  items completions zsh > a folder of $fpath, as `_items`
    /// fish: items completions fish > ~/.config/fish/completions/items.fish
    #[command(verbatim_doc_comment)]
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Print the URL instead of opening the browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Ask for the password even if the browser is still signed in
    #[arg(long)]
    pub(crate) reauthenticate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Show at most this many items
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// Show all items
    #[arg(long, short, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The title; several words need no quotes
    #[arg(required = true, value_name = "TITLE")]
    pub(crate) title: Vec<String>,
    /// The description; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// ID of the item
    pub(crate) id: Uuid,
    /// The new title
    #[arg(long, short)]
    pub(crate) title: Option<String>,
    /// The new description; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    pub(crate) no_description: bool,
    /// Change the item only if it has this version
    #[arg(long, value_name = "VERSION")]
    pub(crate) if_version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// IDs of the items
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,
    /// Do not ask for confirmation (without a terminal, it is never asked for)
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Remove the item only if it has this version
    #[arg(long, value_name = "VERSION")]
    pub(crate) if_version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// ID of the item
    pub(crate) id: Uuid,
    /// Files to attach
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Media type of the files [default: guessed from the name]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Download {
    /// ID of the item
    pub(crate) id: Uuid,
    /// IDs or file names of attachments [default: all]
    #[arg(value_name = "ATTACHMENT")]
    pub(crate) attachments: Vec<String>,
    /// Folder, or file for a single attachment, or `-` for standard output
    #[arg(long, short, value_name = "PATH", default_value = ".")]
    pub(crate) output: PathBuf,
    /// Replace existing files
    #[arg(long, short)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Set the profile; omitted fields stay unchanged
    Set {
        /// The name shown to others
        #[arg(long, short = 'n', value_name = "NAME")]
        display_name: Option<String>,
        /// A short text about you; `-` reads it from standard input
        #[arg(long, short, value_name = "TEXT")]
        bio: Option<String>,
        /// Remove the bio
        #[arg(long, conflicts_with = "bio")]
        no_bio: bool,
    },
    /// Remove the profile
    Rm,
}
