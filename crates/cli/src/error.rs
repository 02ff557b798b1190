//! The error that ends a command: an exit code, what is wrong, the cause, and what to do.

use std::{error::Error as StdError, fmt, io};

use serde_json::{Map, Value, json};

/// The exit codes of a failed command; the README lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something on this machine failed: a file, the keyring, a damaged download, an ID token that cannot be verified.
    Local = 1,
    Usage = 2,
    NotSignedIn = 3,
    Rejected = 4,
    Conflict = 5,
    Unavailable = 6,
}

/// Why a command failed.
///
/// `Display` is one line: what is wrong and where, the innermost cause, and what to do about it.
#[derive(Debug)]
pub(crate) struct Error {
    exit: Exit,
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hint: String,
    details: Map<String, Value>,
}

impl Error {
    /// `what` is the start of a sentence without a full stop, `hint` whole sentences.
    pub(crate) fn new(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        let (what, hint) = (what.into(), hint.into());
        Self { exit, what, source: None, hint, details: Map::new() }
    }

    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, hint)
    }

    /// Says what was being done when an I/O error occurred.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::new(Exit::Local, what, "").with_source(source)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds a member to the JSON form.
    pub(crate) fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn detail(&self, name: &str) -> Option<&Value> {
        self.details.get(name)
    }

    /// Whether a server's response with this HTTP status is the reason.
    pub(crate) fn has_status(&self, status: u16) -> bool {
        self.detail("status").is_some_and(|value| *value == status)
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the error for programs.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = self.details.clone();
        error.insert("exit_code".into(), json!(self.exit as u8));
        error.insert("message".into(), json!(self.to_string()));
        json!({ "error": error })
    }

    /// Whether the reader of standard output has closed it, as `head` does.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let source = self.source.as_deref().and_then(|source| source.downcast_ref::<io::Error>());
        source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        // The innermost cause says what happened; the others only say that something did.
        if let Some(cause) = std::iter::successors(self.source(), |cause| (**cause).source()).last() {
            write!(f, ": {}", cause.to_string().trim_end_matches('.'))?;
        }
        if self.hint.is_empty() { Ok(()) } else { write!(f, ". {}", self.hint) }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
