//! Output for people and for programs.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, SystemTime},
};

use indicatif::HumanDuration;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::error::Error;

/// The width of a terminal that does not report it.
const DEFAULT_COLUMNS: usize = 80;

/// How results are written: JSON for programs, tables for people, plain lines for pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Terminal,
    Plain,
}

impl Format {
    pub(crate) fn new(json: bool) -> Self {
        match (json, io::stdout().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }

    /// Writes a result: the value in JSON, or one line.
    pub(crate) fn print(self, value: &impl Serialize, text: &str) -> Result<(), Error> {
        self.print_or_plain(value, text, text)
    }

    /// Writes a result: the value in JSON, a line for people, or another line for pipes.
    pub(crate) fn print_or_plain(self, value: &impl Serialize, text: &str, plain: &str) -> Result<(), Error> {
        self.progress(text, plain)?;
        self.summary(value)
    }

    /// Writes a line for people, or another one for pipes. In JSON, all results follow at the end.
    pub(crate) fn progress(self, text: &str, plain: &str) -> Result<(), Error> {
        match self {
            Self::Json => Ok(()),
            Self::Terminal => line(text),
            Self::Plain => line(plain),
        }
    }

    /// Writes the value in JSON, and nothing for people and pipes, which have seen the progress.
    pub(crate) fn summary(self, value: &impl Serialize) -> Result<(), Error> {
        if self == Self::Json { json(value) } else { Ok(()) }
    }
}

/// Writes a line to standard output. Colors are left out if it is not a terminal or if `NO_COLOR` is set.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    writeln!(anstream::stdout().lock(), "{text}").map_err(Error::io("cannot write to standard output"))
}

/// Writes a value as JSON to standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::io("cannot write the result as JSON")(error.into()))?;
    line(&text)
}

/// Writes a line to standard error.
pub(crate) fn note(text: &str) {
    // If standard error is closed, there is nowhere to report it.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Reports the error that ended the program.
pub(crate) fn failure(error: &Error, as_json: bool) {
    let json = as_json.then(|| error.to_json().to_string());
    note(&json.unwrap_or_else(|| format!("{}: {error}", bold("error"))));
}

/// Makes text of unknown origin safe for a terminal, on one line: replaces control characters, and those that change the
/// direction of what follows (Unicode TR 9).
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) || matches!(c, '\n' | '\t') { ' ' } else { c }).collect()
}

/// Like [`plain`], but keeps lines and tabs.
pub(crate) fn plain_lines(text: &str) -> String {
    text.chars().filter(|c| *c != '\r').map(|c| if is_harmful(c) { ' ' } else { c }).collect()
}

/// Returns the request ID in parentheses, for a search in the server's log.
pub(crate) fn request(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

pub(crate) fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

pub(crate) fn dim(text: &str) -> String {
    format!("\u{1b}[2m{text}\u{1b}[0m")
}

/// Pads or cuts the text to exactly this many columns.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    console::pad_str(&plain(text), columns, console::Alignment::Left, Some("…")).into_owned()
}

/// Writes a table of labels and values, the labels in a column of this width.
pub(crate) fn fields(columns: usize, entries: &[(&str, String)]) -> Result<(), Error> {
    entries
        .iter()
        .try_for_each(|(label, value)| line(&format!("{} {}", dim(&fit(label, columns)), plain(value))))
}

/// Returns the width of the terminal.
pub(crate) fn columns() -> usize {
    console::Term::stdout().size_checked().map_or(DEFAULT_COLUMNS, |(_, columns)| usize::from(columns))
}

/// Says how long ago an RFC 3339 time was.
pub(crate) fn age(timestamp: &str) -> String {
    let Ok(then) = OffsetDateTime::parse(timestamp, &Rfc3339) else { return plain(timestamp) };
    let elapsed = SystemTime::now().duration_since(then.into()).unwrap_or_default();
    if elapsed < Duration::from_secs(1) { "now".to_owned() } else { format!("{} ago", span(elapsed)) }
}

/// Writes a duration in its largest unit: `3 minutes`.
pub(crate) fn span(duration: Duration) -> String {
    HumanDuration(duration).to_string()
}

/// Writes a number of bytes in its largest unit.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Whether somebody can answer a question.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question. Any reply other than yes means no.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    let _ = write!(anstream::stderr().lock(), "{question} [y/N] ");
    let mut reply = String::new();
    io::stdin().read_line(&mut reply).map_err(Error::io("cannot read standard input"))?;
    Ok(matches!(reply.trim(), "y" | "Y" | "yes"))
}

fn is_harmful(c: char) -> bool {
    let changes_direction =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    changes_direction || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\td\u{9b}e\u{202e}f"), "a [31mb c d e f");
        assert_eq!(plain_lines("a\r\nb\u{7}\tc"), "a\nb \tc");
    }
}
