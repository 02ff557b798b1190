//! The person's own editor.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use uuid::Uuid;

use crate::{
    error::Error,
    session::{create_private_folder, private_file, state_folder},
};

/// More than 4 000 characters with help and another version below.
const MAX_DRAFT_BYTES: u64 = 256 * 1024; // 256 KiB

/// A text that lies in a file until it is no longer needed: whatever happens to this program, it is not lost.
#[derive(Debug)]
pub(crate) struct DraftFile(PathBuf);

impl DraftFile {
    /// A new file for an edit of this item. Those of earlier edits that did not end well stay.
    pub(crate) fn create(item: Uuid, text: &str) -> Result<Self, Error> {
        let folder = state_folder()?.join("drafts");
        let cannot = || Error::io(format!("no draft can be written into {}", folder.display()));
        create_private_folder(&folder).map_err(cannot())?;
        for number in 1..u32::MAX {
            let path = folder.join(format!("{item}-{number}.txt"));
            match private_file().create_new(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(text.as_bytes()).map_err(cannot())?;
                    return Ok(Self(path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot()(error)),
            }
        }
        Err(cannot()(io::ErrorKind::AlreadyExists.into()))
    }

    /// Has the person edit it, and gives what it says then.
    pub(crate) fn edit(&self) -> Result<String, Error> {
        let editor = editor();
        let mut command = command(&editor, &self.0);
        let failed = || {
            format!(
                "the editor `{editor}` did not end well (the text is in {}): set EDITOR",
                self.0.display()
            )
        };
        let status = command.status().map_err(Error::io(failed()))?;
        if !status.success() {
            return Err(Error::Usage(failed()));
        }
        self.read()
    }

    /// Puts another text in its place.
    pub(crate) fn write(&self, text: &str) -> Result<(), Error> {
        fs::write(&self.0, text).map_err(Error::io(format!("{} cannot be written", self.0.display())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// It is no longer needed.
    pub(crate) fn remove(self) {
        // One that stays is in nobody's way.
        let _ = fs::remove_file(self.0);
    }

    fn read(&self) -> Result<String, Error> {
        let cannot = || Error::io(format!("{} cannot be read as text", self.0.display()));
        let size = fs::metadata(&self.0).map_err(cannot())?.len();
        if size > MAX_DRAFT_BYTES {
            return Err(cannot()(io::ErrorKind::FileTooLarge.into()));
        }
        fs::read_to_string(&self.0).map_err(cannot())
    }
}

fn editor() -> String {
    let mut set = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| env::var(name).ok());
    let fallback = if cfg!(windows) { "notepad" } else { "vi" };
    set.find(|editor| !editor.trim().is_empty()).unwrap_or_else(|| fallback.to_owned())
}

/// EDITOR is a command line, such as `code --wait`; the shell takes it apart, as for git.
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
