//! An item as a text to edit: the title on the first line, the description below it.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    api::Content,
    error::Error,
    store::{create_private_folder, state_folder},
};

impl Content {
    /// Writes the title on the first line and the description below it.
    pub(crate) fn to_draft(&self) -> String {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{title}\n\n{}\n", self.description.as_deref().unwrap_or_default())
    }

    pub(crate) fn from_draft(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let (title, description) = text.split_once('\n').unwrap_or((&text, ""));
        let description = description.trim_matches('\n').trim_end();
        let description = (!description.is_empty()).then(|| description.to_owned());
        Self { title: title.trim().to_owned(), description }
    }

    /// Returns the JSON merge patch from `original` to this; nothing if they are the same.
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

/// The text in a file, which stays until the change is saved, so that the text is not lost if this program fails.
#[derive(Debug)]
pub(crate) struct DraftFile(PathBuf);

impl DraftFile {
    /// Creates a file for an edit of this item. Files of earlier edits that failed stay.
    pub(crate) fn create(item: Uuid, text: &str) -> Result<Self, Error> {
        let folder = state_folder()?.join("drafts");
        let cannot_write = || Error::io(format!("cannot write a draft to {}", folder.display()));
        create_private_folder(&folder).map_err(cannot_write())?;
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{item}-"))
            .suffix(".txt")
            .tempfile_in(&folder)
            .map_err(cannot_write())?;
        file.write_all(text.as_bytes()).map_err(cannot_write())?;
        let path = file.into_temp_path().keep().map_err(|error| cannot_write()(error.error))?;
        Ok(Self(path))
    }

    /// Opens the editor, and returns the text when it is closed.
    pub(crate) fn edit(&self) -> Result<String, Error> {
        let editor = editor();
        let what = || format!("the editor `{editor}` failed");
        let status = command(&editor, &self.0).status().map_err(Error::io(what()))?;
        if !status.success() {
            return Err(Error::usage(what(), format!("Set EDITOR. {}", self.kept())));
        }
        let cannot_read = Error::io(format!("cannot read {} as text", self.0.display()));
        fs::read_to_string(&self.0).map_err(cannot_read)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Says where the text is.
    pub(crate) fn kept(&self) -> String {
        format!("Your text is in {}.", self.0.display())
    }

    pub(crate) fn remove(self) {
        // A draft that stays does no harm.
        let _ = fs::remove_file(self.0);
    }
}

fn editor() -> String {
    let mut set = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| env::var(name).ok());
    let fallback = if cfg!(windows) { "notepad" } else { "vi" };
    set.find(|editor| !editor.trim().is_empty()).unwrap_or_else(|| fallback.to_owned())
}

/// EDITOR is a command line, such as `code --wait`; the shell splits it, as for git.
#[cfg(unix)]
fn command(editor: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(path);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, path: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("notepad"));
    command.args(words).arg(path);
    command
}
