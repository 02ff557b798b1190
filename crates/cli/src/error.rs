//! What can go wrong, and what the person at the terminal can do about it.

use std::{io, path::PathBuf, process::ExitCode};

use cognito_auth::VerifyError;
use serde_json::{Value, json};

use crate::{
    api::{Item, Problem},
    clock::Skew,
    draft::Content,
    session::KeyringError,
};

/// Why a command did not do what it was asked. Each message is one sentence that ends with what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("you are not signed in: run `{login}`")]
    NotSignedIn { login: String },
    #[error("your sign-in has ended: run `{login}`")]
    SignInEnded { login: String },
    #[error("the stored sign-in {what}: run `{login}`")]
    SignInUnusable { what: &'static str, login: String },
    #[error("nobody signed in within {minutes} minutes: run `{login}` again")]
    SignInTimedOut { minutes: u64, login: String },
    #[error("the user pool ended the sign-in ({error}{description}): run `{login}` to try again")]
    SignInRefused { error: String, description: String, login: String },
    #[error("the API does not accept this sign-in: check that the profile names its user pool, then run `{login}`{}", request(.request_id.as_ref()))]
    TokenRefused { request_id: Option<String>, login: String },
    #[error(
        "the user pool refuses this client ({error}{description}): check the profile with `items config`"
    )]
    ClientRefused { error: String, description: String },
    #[error("{}", .0.sentence())]
    Refused(Box<Problem>),
    #[error("{}", .0.sentence())]
    Stale(Box<Problem>),
    #[error(transparent)]
    EditConflict(Box<EditConflict>),
    #[error("{}", .0.sentence())]
    Unavailable(Box<Problem>),
    #[error("{what} cannot be reached: check that it runs, your network and `items config`")]
    Unreachable { what: String, source: reqwest::Error },
    #[error("{what} stopped answering: try again")]
    Stalled { what: String },
    #[error("{what} could not be completed: {hint}")]
    Interrupted { what: String, hint: &'static str, source: Option<reqwest::Error> },
    #[error("signed out here, but the refresh token could not be revoked: it stays valid until it expires")]
    NotRevoked { source: Box<Error> },
    #[error("{0}: set the clock right and try again")]
    WrongClock(Skew),
    #[error("the ID token cannot be trusted: run `{login}`")]
    IdToken { source: Box<dyn std::error::Error + Send + Sync>, login: String },
    #[error("the API and the ID token name different people: run `{login}`")]
    OtherPerson { login: String },
    #[error("the keys of the user pool cannot be reached: check your network and `items config`")]
    KeysUnreachable { source: VerifyError },
    #[error("{name} arrived damaged: try again")]
    Checksum { name: String },
    #[error("{what} gave an answer that is not understood: check the URLs with `items config`")]
    Protocol { what: String },
    #[error("another `items` has been refreshing the sign-in for {seconds} s: try again")]
    LockTimeout { seconds: u64 },
    #[error("{what}")]
    Io { what: String, source: io::Error },
    #[error("the keyring does not give access: unlock it, or set `ITEMS_TOKEN_STORE=file` and sign in again")]
    Keyring { source: KeyringError },
}

/// An edit met a newer version. Both are kept here, so that neither is lost.
#[derive(Debug, thiserror::Error)]
#[error("the item has changed meanwhile (it is at version {}, the edit began at {based_on}): {}{}",
    .theirs.version, self.next_step(), request(.request_id.as_ref()))]
pub(crate) struct EditConflict {
    pub(crate) yours: Content,
    pub(crate) theirs: Item,
    pub(crate) based_on: u64,
    /// Where the edited text lies.
    pub(crate) draft: Option<PathBuf>,
    pub(crate) request_id: Option<String>,
}

impl EditConflict {
    fn next_step(&self) -> String {
        match &self.draft {
            Some(path) => format!("your text is kept in {}; edit again", path.display()),
            None => "look at both versions and edit again".to_owned(),
        }
    }
}

impl Error {
    /// Names what was tried when the system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The process' exit code; the README lists them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotSignedIn { .. }
            | Self::SignInEnded { .. }
            | Self::SignInUnusable { .. }
            | Self::SignInTimedOut { .. }
            | Self::SignInRefused { .. }
            | Self::TokenRefused { .. } => 3,
            Self::ClientRefused { .. } | Self::Refused(_) => 4,
            Self::Stale(_) | Self::EditConflict(_) => 5,
            Self::Unavailable(_)
            | Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Interrupted { .. }
            | Self::KeysUnreachable { .. }
            | Self::NotRevoked { .. } => 6,
            Self::WrongClock(_)
            | Self::IdToken { .. }
            | Self::OtherPerson { .. }
            | Self::Checksum { .. }
            | Self::Protocol { .. }
            | Self::LockTimeout { .. }
            | Self::Io { .. }
            | Self::Keyring { .. } => 1,
        }
    }

    /// The error for programs.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "exit_code": self.code(), "message": self.with_causes() });
        match self {
            Self::Refused(problem) | Self::Stale(problem) | Self::Unavailable(problem) => {
                error["status"] = json!(problem.status);
                error["type"] = json!(problem.kind);
                error["request_id"] = json!(problem.request_id);
                error["errors"] = json!(problem.errors);
            }
            Self::EditConflict(conflict) => {
                error["yours"] = json!(conflict.yours);
                error["theirs"] = json!(conflict.theirs);
                error["draft"] = json!(conflict.draft);
                error["request_id"] = json!(conflict.request_id);
            }
            Self::TokenRefused { request_id, .. } => error["request_id"] = json!(request_id),
            _ => {}
        }
        json!({ "error": error })
    }

    /// The message with the technical reason behind it, in parentheses.
    pub(crate) fn with_causes(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        // The innermost cause says what happened; those between only say that something did.
        match causes.last() {
            Some(cause) => format!("{self} ({cause})"),
            None => self.to_string(),
        }
    }

    /// Whether the reader of standard output has gone, as `head` does when it has enough.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The request's id in parentheses, for whoever reads the server's log.
pub(crate) fn request(id: Option<&String>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}
