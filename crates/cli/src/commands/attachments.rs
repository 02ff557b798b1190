//! `attach`, `detach`, `download`.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde_json::json;
use uuid::Uuid;

use super::context::Context;
use crate::{
    api::Attachment,
    arguments::{Attach, Download},
    error::Error,
    output::{self, Format, dim, plain},
    transfer::{self, Target},
};

impl Context<'_> {
    /// Attaches one file after the other. What was attached before a failure is reported.
    pub(super) async fn attach(&self, attach: &Attach) -> Result<(), Error> {
        let mut attached = Vec::new();
        let mut outcome = Ok(());
        for path in &attach.files {
            match transfer::upload(&self.api, attach.id, path, attach.content_type.as_deref()).await {
                Ok(attachment) => {
                    self.print_attached(&attachment)?;
                    attached.push(attachment);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if self.format == Format::Json {
            output::json(&attached)?;
        }
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
        let targets = targets(&chosen, options)?;
        let mut downloaded = Vec::new();
        let mut outcome = Ok(());
        for (attachment, target) in chosen.into_iter().zip(targets) {
            if let Err(error) = transfer::download(&self.api, options.id, attachment.id, &target).await {
                outcome = Err(error);
                break;
            }
            if let Target::File { path, .. } = &target {
                self.print_downloaded(attachment, path)?;
                downloaded.push(json!({ "attachment": attachment, "path": path }));
            }
        }
        if self.format == Format::Json && options.output != Path::new("-") {
            output::json(&downloaded)?;
        }
        outcome
    }

    fn print_attached(&self, attachment: &Attachment) -> Result<(), Error> {
        let (id, name) = (attachment.id.to_string(), plain(&attachment.filename));
        match self.format {
            Format::Json => Ok(()),
            Format::Plain => output::line(&id),
            Format::Terminal => {
                output::line(&format!("Attached {} {name} ({})", dim(&id), output::size(attachment.size)))
            }
        }
    }

    fn print_downloaded(&self, attachment: &Attachment, path: &Path) -> Result<(), Error> {
        let path = path.display();
        match self.format {
            Format::Json => Ok(()),
            Format::Plain => output::line(&path.to_string()),
            Format::Terminal => output::line(&format!("Saved {path} ({})", output::size(attachment.size))),
        }
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

/// Returns where each attachment goes. All are known before the first byte moves, so that a mistake costs no time.
fn targets(chosen: &[&Attachment], options: &Download) -> Result<Vec<Target>, Error> {
    let (output, replace) = (&options.output, options.force);
    if output == Path::new("-") {
        return match chosen {
            [_] => Ok(vec![Target::StandardOutput]),
            _ => Err(Error::usage("only one attachment can go to standard output", "Name it.")),
        };
    }
    if !output.is_dir() {
        return match chosen {
            [_] => Ok(vec![Target::File { path: output.clone(), replace }]),
            _ => Err(Error::usage(
                format!("{} is not a folder", output.display()),
                "Create it, or name one attachment.",
            )),
        };
    }
    let mut taken = HashSet::new();
    chosen
        .iter()
        .map(|attachment| {
            let path = output.join(safe_name(attachment)?);
            if !replace && path.symlink_metadata().is_ok() {
                return Err(Error::usage(
                    format!("{} already exists", path.display()),
                    "Use --force or --output.",
                ));
            }
            if !taken.insert(path.clone()) {
                let name = plain(&attachment.filename);
                return Err(Error::usage(
                    format!("several attachments are called {name}"),
                    "Download them one by one.",
                ));
            }
            Ok(Target::File { path, replace })
        })
        .collect()
}

/// Returns the attachment's name if it can only be the name of a file in the folder.
fn safe_name(attachment: &Attachment) -> Result<PathBuf, Error> {
    let path = PathBuf::from(&attachment.filename);
    let is_plain =
        path.file_name() == Some(path.as_os_str()) && plain(&attachment.filename) == attachment.filename;
    if is_plain && !attachment.filename.contains(['/', '\\', ':']) {
        return Ok(path);
    }
    let name = plain(&attachment.filename);
    Err(Error::usage(format!("`{name}` is not a file name here"), "Choose one with --output."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(filename: &str) -> Attachment {
        Attachment {
            id: Uuid::new_v4(),
            filename: filename.into(),
            content_type: "text/plain".into(),
            size: 0,
            created_at: String::new(),
        }
    }

    fn options(output: &Path) -> Download {
        Download { id: Uuid::nil(), attachments: Vec::new(), output: output.to_owned(), force: false }
    }

    #[test]
    fn name_never_leads_out_of_the_folder() {
        for name in ["", ".", "..", "/etc/passwd", "../x", "a/b", "a\\b", "c:x", "a\u{1b}b", "a\nb", "x/"] {
            assert!(safe_name(&attachment(name)).is_err(), "{name:?}");
        }
        assert_eq!(safe_name(&attachment("receipt of May.pdf")).unwrap(), Path::new("receipt of May.pdf"));
    }

    #[test]
    fn attachment_is_found_by_id_or_by_a_unique_name() {
        let all = [attachment("a"), attachment("b"), attachment("b")];
        assert_eq!(select(&all, "a").unwrap().id, all[0].id);
        assert_eq!(select(&all, &all[2].id.to_string()).unwrap().id, all[2].id);
        assert!(select(&all, "b").is_err());
        assert!(select(&all, "c").is_err());
    }

    #[test]
    fn file_is_overwritten_only_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (attachment("a"), attachment("a"));
        assert!(targets(&[&one], &options(folder.path())).is_ok());
        assert!(targets(&[&one, &other], &options(folder.path())).is_err());
        std::fs::write(folder.path().join("a"), "").unwrap();
        assert!(targets(&[&one], &options(folder.path())).is_err());
        assert!(targets(&[&one], &Download { force: true, ..options(folder.path()) }).is_ok());
        assert!(targets(&[&one, &other], &options(Path::new("-"))).is_err());
    }
}
