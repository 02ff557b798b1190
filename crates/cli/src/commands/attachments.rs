//! `attach`, `detach`, `download`.

use std::{
    io::{self, Seek as _},
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::{Context, until_failure};
use crate::{
    api::Attachment,
    arguments::{Attach, Download},
    error::Error,
    output::{self, dim, plain},
    transfer,
};

impl Context<'_> {
    /// Attaches one file after the other. What was attached before a failure is reported.
    pub(super) async fn attach(&self, attach: &Attach) -> Result<(), Error> {
        let (attached, outcome) = until_failure(&attach.files, async |path| {
            let content_type = attach.content_type.as_deref();
            let attachment = transfer::upload(&self.api, attach.id, path, content_type).await?;
            let (id, name) = (attachment.id.to_string(), plain(&attachment.filename));
            let text = format!("Attached {} {name} ({})", dim(&id), output::size(attachment.size));
            self.format.progress(&text, &id)?;
            Ok(attachment)
        })
        .await;
        self.format.summary(&attached)?;
        outcome
    }

    pub(super) async fn detach(&self, item: Uuid, wanted: &str) -> Result<(), Error> {
        let attachments = self.api.attachments(item).await?;
        let attachment = select(&attachments, wanted)?;
        self.api.delete_attachment(item, attachment.id).await?;
        let text = format!("Removed {}", plain(&attachment.filename));
        self.format.print(&json!({ "removed": attachment.id }), &text)
    }

    /// Downloads one attachment after the other.
    pub(super) async fn download(&self, options: &Download) -> Result<(), Error> {
        let all = self.api.attachments(options.id).await?;
        let chosen = if options.attachments.is_empty() {
            all.iter().collect()
        } else {
            options.attachments.iter().map(|wanted| select(&all, wanted)).collect::<Result<Vec<_>, _>>()?
        };
        if chosen.is_empty() {
            return Err(Error::usage("the item has no attachments", "Add one with `items attach`."));
        }
        if options.output == Path::new("-") {
            return match chosen[..] {
                [attachment] => self.download_to_stdout(options.id, attachment).await,
                _ => Err(Error::usage("only one attachment can go to standard output", "Name it.")),
            };
        }
        let targets = chosen.iter().zip(paths(&chosen, options)?);
        let (downloaded, outcome) = until_failure(targets, async |(attachment, path)| {
            self.download_to_file(options.id, attachment, &path, options.force).await?;
            let text = format!("Saved {} ({})", path.display(), output::size(attachment.size));
            self.format.progress(&text, &path.display().to_string())?;
            Ok(json!({ "attachment": attachment, "path": path }))
        })
        .await;
        self.format.summary(&downloaded)?;
        outcome
    }

    /// Prints nothing until the download is complete and verified, so that a pipe never gets half of it.
    async fn download_to_stdout(&self, item: Uuid, attachment: &Attachment) -> Result<(), Error> {
        let mut file = tempfile::tempfile().map_err(Error::io("cannot create a temporary file"))?;
        transfer::download(&self.api, item, attachment, &file).await?;
        let copied = file.rewind().and_then(|()| io::copy(&mut file, &mut io::stdout()));
        copied.map(drop).map_err(Error::io("cannot write to standard output"))
    }

    /// Downloads to a temporary file beside the path, which gets its name when it is complete and verified.
    async fn download_to_file(
        &self,
        item: Uuid,
        attachment: &Attachment,
        path: &Path,
        replace: bool,
    ) -> Result<(), Error> {
        let cannot_write = || Error::io(format!("cannot write {}", path.display()));
        let partial = create_partial(path).map_err(cannot_write())?;
        transfer::download(&self.api, item, attachment, partial.as_file()).await?;
        let persisted = if replace { partial.persist(path) } else { partial.persist_noclobber(path) };
        persisted.map(drop).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => already_exists(path),
            _ => cannot_write()(error.error),
        })
    }
}

/// Returns the attachment with this ID, or the only one with this file name.
fn select<'a>(attachments: &'a [Attachment], wanted: &str) -> Result<&'a Attachment, Error> {
    let by_id = attachments.iter().find(|attachment| attachment.id.to_string() == wanted);
    let mut by_name = attachments.iter().filter(|attachment| attachment.filename == wanted);
    let wanted = plain(wanted);
    match (by_id, by_name.next(), by_name.next()) {
        (Some(attachment), ..) | (None, Some(attachment), None) => Ok(attachment),
        (None, None, _) => {
            Err(Error::usage(format!("the item has no attachment {wanted}"), "List them with `items show`."))
        }
        (None, Some(_), Some(_)) => {
            Err(Error::usage(format!("several attachments are called {wanted}"), "Name one by its ID."))
        }
    }
}

/// Returns the path for each attachment. All are checked before the first download.
fn paths(chosen: &[&Attachment], options: &Download) -> Result<Vec<PathBuf>, Error> {
    let output = &options.output;
    if !output.is_dir() && chosen.len() > 1 {
        let what = format!("{} is not a folder", output.display());
        return Err(Error::usage(what, "Create it, or name one attachment."));
    }
    let mut paths = Vec::new();
    for attachment in chosen {
        let name = &attachment.filename;
        let path = if output.is_dir() { output.join(safe_name(name)?) } else { output.clone() };
        if !options.force && path.symlink_metadata().is_ok() {
            return Err(already_exists(&path));
        }
        if paths.contains(&path) {
            let what = format!("several attachments are called {}", plain(name));
            return Err(Error::usage(what, "Download them one by one."));
        }
        paths.push(path);
    }
    Ok(paths)
}

fn already_exists(path: &Path) -> Error {
    let hint = "Use --force to replace it, or --output for another place.";
    Error::usage(format!("{} already exists", path.display()), hint)
}

/// Creates a file that is removed unless it is persisted.
fn create_partial(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".items-").suffix(".part");
    // As for any new file, the umask decides on the permissions.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}

/// Returns the name if it can only be the name of a file in the folder.
fn safe_name(filename: &str) -> Result<&Path, Error> {
    let path = Path::new(filename);
    let is_plain = path.file_name() == Some(path.as_os_str()) && plain(filename) == filename;
    if is_plain && !filename.contains(['/', '\\', ':']) {
        return Ok(path);
    }
    let what = format!("`{}` is not a file name here", plain(filename));
    Err(Error::usage(what, "Choose one with --output."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_never_leads_out_of_the_folder() {
        for name in ["", ".", "..", "/etc/passwd", "../x", "a/b", "a\\b", "c:x", "a\u{1b}b", "a\nb", "x/"] {
            assert!(safe_name(name).is_err(), "{name:?}");
        }
        assert_eq!(safe_name("receipt of May.pdf").unwrap(), Path::new("receipt of May.pdf"));
    }
}
