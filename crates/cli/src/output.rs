//! What people and programs get to see.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{clock, error::Error};

/// The width of a terminal that does not tell.
const DEFAULT_COLUMNS: usize = 80;

/// How results are written: for programs in JSON, for people as tables, and plainly into pipes.
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
}

/// A line of a result. Colours are left out where standard output is no terminal, and where `NO_COLOR` is set.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    writeln!(anstream::stdout().lock(), "{text}").map_err(Error::io("standard output cannot be written to"))
}

/// A result for programs.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::io("the result cannot be written as JSON")(error.into()))?;
    line(&text)
}

/// Something that the person should know and a program need not.
pub(crate) fn note(text: &str) {
    // Nobody can be told if standard error is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// A warning that is not repeated in this process.
pub(crate) fn warn_once(text: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        note(&format!("warning: {text}"));
    }
}

/// The reason why it ends here.
pub(crate) fn failure(error: &Error, as_json: bool) {
    if as_json {
        return note(&error.to_json().to_string());
    }
    note(&format!("{}: {}", bold("error"), error.with_causes()));
    if let Error::EditConflict(conflict) = error {
        note(&format!("\n{}", conflict.versions()));
    }
}

/// Text that somebody else wrote, on one line and without anything that a terminal obeys: control characters, and those that
/// change the direction of what follows (Unicode TR 9).
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) || matches!(c, '\n' | '\t') { ' ' } else { c }).collect()
}

/// The same on several lines.
pub(crate) fn plain_lines(text: &str) -> String {
    text.chars().filter(|c| *c != '\r').map(|c| if is_harmful(c) { ' ' } else { c }).collect()
}

/// The text in bold, where that can be shown.
pub(crate) fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

/// The text in a colour that steps back.
pub(crate) fn dim(text: &str) -> String {
    format!("\u{1b}[2m{text}\u{1b}[0m")
}

/// The text in exactly this many columns of the terminal.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    console::pad_str(&plain(text), columns, console::Alignment::Left, Some("…")).into_owned()
}

/// How wide the terminal is.
pub(crate) fn columns() -> usize {
    console::Term::stdout().size_checked().map_or(DEFAULT_COLUMNS, |(_, columns)| usize::from(columns))
}

/// How long ago an RFC 3339 time was.
pub(crate) fn age(timestamp: &str) -> String {
    let Ok(then) = OffsetDateTime::parse(timestamp, &Rfc3339) else { return plain(timestamp) };
    let elapsed = SystemTime::now().duration_since(then.into()).unwrap_or_default();
    if elapsed.as_secs() == 0 { "now".to_owned() } else { format!("{} ago", clock::span(elapsed)) }
}

/// A number of bytes in its largest unit.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; only a yes is one.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    let _ = write!(anstream::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Error::io("standard input cannot be read"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn is_harmful(c: char) -> bool {
    let turns_direction =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_direction || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\td\u{9b}e\u{202e}f"), "a [31mb c d e f");
        assert_eq!(plain_lines("a\r\nb\u{7}\tc"), "a\nb \tc");
    }

    #[test]
    fn text_fits_into_its_column() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(console::measure_text_width(&fit("日本語日本語", 7)), 7);
    }

    #[test]
    fn ages_are_told_roughly() {
        let then = OffsetDateTime::now_utc() - time::Duration::minutes(90);
        assert_eq!(age(&then.format(&Rfc3339).unwrap()), "1 h ago");
        let future = OffsetDateTime::now_utc() + time::Duration::minutes(90);
        assert_eq!(age(&future.format(&Rfc3339).unwrap()), "now");
        assert_eq!(age("\u{1b}"), " ");
    }
}
