//! An item as a text that one edits.
//!
//! The first line is the title, the rest the description, and what stands below the last line with scissors is for the
//! person only (as in `git commit --verbose`: no line of a description is taken for a comment).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::Item;

const SCISSORS: &str = "# ------------------------ >8 ------------------------";

const HELP: &str = "# Above: the title on the first line, the description below it.\n\
    # Save and close to keep the change; leave everything as it is, or empty, to change nothing.\n";

/// What of an item can be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) description: Option<String>,
}

/// A text that nothing can be made of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoTitle;

impl Content {
    /// The text to edit, with `below` under the scissors.
    pub(crate) fn to_draft(&self, below: &str) -> String {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        let description = self.description.as_deref().unwrap_or_default();
        format!("{title}\n\n{description}\n{SCISSORS}\n{HELP}{below}")
    }

    /// What a text says; nothing if it is empty.
    pub(crate) fn from_draft(text: &str) -> Result<Option<Self>, NoTitle> {
        let text = text.replace("\r\n", "\n");
        let edited = above_scissors(&text);
        let (title, description) = edited.split_once('\n').unwrap_or((edited, ""));
        let (title, description) = (title.trim(), description.trim_matches('\n').trim_end());
        if title.is_empty() {
            return if description.is_empty() { Ok(None) } else { Err(NoTitle) };
        }
        let description = (!description.is_empty()).then(|| description.to_owned());
        Ok(Some(Self { title: title.to_owned(), description }))
    }

    /// Takes over from `original` what reads the same in a draft, where line breaks of a title and blank lines are lost.
    pub(crate) fn undisturbed(self, original: &Self) -> Self {
        let as_read = Self::from_draft(&original.to_draft("")).ok().flatten();
        let Some(as_read) = as_read else { return self };
        Self {
            title: if self.title == as_read.title { original.title.clone() } else { self.title },
            description: if self.description == as_read.description {
                original.description.clone()
            } else {
                self.description
            },
        }
    }

    /// The JSON merge patch from `original` to this; nothing if they are the same.
    pub(crate) fn patch_from(&self, original: &Self) -> Option<Value> {
        let mut patch = Map::new();
        if self.title != original.title {
            patch.insert("title".into(), json!(self.title));
        }
        if self.description != original.description {
            patch.insert("description".into(), json!(self.description));
        }
        (!patch.is_empty()).then_some(Value::Object(patch))
    }
}

/// What stands above the last line that is exactly the scissors.
fn above_scissors(text: &str) -> &str {
    let mut start = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let at = start;
        start += line.len();
        (at, line)
    });
    let scissors = lines.filter(|(_, line)| line.trim_end() == SCISSORS).last();
    scissors.and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// Text for below the scissors: no line of it can be taken for them.
pub(crate) fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("# | {line}\n")).collect()
}

impl From<&Item> for Content {
    fn from(item: &Item) -> Self {
        Self { title: item.title.clone(), description: item.description.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(title: &str, description: Option<&str>) -> Content {
        Content { title: title.into(), description: description.map(str::to_owned) }
    }

    #[test]
    fn a_draft_is_read_as_it_was_written() {
        for content in [
            content("Buy milk", None),
            content("Buy milk", Some("Two litres.\n\n# not a comment\n  indented")),
            content("Buy milk", Some(SCISSORS)),
        ] {
            let below = quoted(&format!("theirs\n{SCISSORS}\n"));
            assert_eq!(Content::from_draft(&content.to_draft(&below)).unwrap(), Some(content));
        }
    }

    #[test]
    fn what_reads_the_same_stays_as_it_was() {
        let original = content("two\nlines", Some("\n\ntext\n\n"));
        let read = Content::from_draft(&original.to_draft("")).unwrap().unwrap();
        assert_eq!(read.clone().undisturbed(&original), original);
        let changed = Content { title: "another".into(), ..read };
        assert_eq!(changed.undisturbed(&original), Content { title: "another".into(), ..original });
    }

    #[test]
    fn an_empty_text_changes_nothing_and_a_missing_title_is_a_mistake() {
        assert_eq!(Content::from_draft("\n\n"), Ok(None));
        assert_eq!(Content::from_draft(&format!("\n{SCISSORS}\nx")), Ok(None));
        assert_eq!(Content::from_draft("\ntext"), Err(NoTitle));
    }

    #[test]
    fn a_patch_names_only_what_changed() {
        let original = content("a", Some("b"));
        assert_eq!(original.patch_from(&original), None);
        assert_eq!(content("a", None).patch_from(&original), Some(json!({"description": null})));
        assert_eq!(content("c", Some("b")).patch_from(&original), Some(json!({"title": "c"})));
    }
}
