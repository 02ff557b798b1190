//! `edit`: a change that never overwrites somebody else's unseen.

use super::{Context, text_or_input};
use crate::{
    api::Item,
    arguments::Edit,
    draft::{Content, NoTitle, quoted},
    editor::DraftFile,
    error::{EditConflict, Error},
    output::{self, Format, dim, plain},
};

impl Context<'_> {
    pub(super) async fn edit(&self, edit: &Edit) -> Result<(), Error> {
        let item = self.api.item(edit.id).await?;
        if edit.if_version.is_some_and(|version| version != item.version) {
            let yours = changed(edit, &item)?.unwrap_or_else(|| Content::from(&item));
            let based_on = edit.if_version.unwrap_or_default();
            return Err(conflict(EditConflict {
                yours,
                theirs: item,
                based_on,
                draft: None,
                request_id: None,
            }));
        }
        match changed(edit, &item)? {
            Some(yours) => self.write(&item, yours).await,
            None => self.edit_in_editor(item).await,
        }
    }

    /// Writes what the flags say.
    async fn write(&self, item: &Item, yours: Content) -> Result<(), Error> {
        match self.update(item, &yours).await? {
            Outcome::Written(item) => self.print_edited(&item),
            Outcome::Unchanged => self.print_unchanged(item),
            Outcome::Conflict(conflict) => Err(self::conflict(conflict)),
        }
    }

    /// Lets the person edit until the change is made, or given up.
    async fn edit_in_editor(&self, mut item: Item) -> Result<(), Error> {
        let draft = DraftFile::create(item.id, &Content::from(&item).to_draft(""))?;
        loop {
            let outcome = match read(&draft)? {
                Some(yours) => self.update_or_keep(&item, yours, &draft).await?,
                None => Outcome::Unchanged,
            };
            match outcome {
                Outcome::Written(item) => {
                    draft.remove();
                    return self.print_edited(&item);
                }
                Outcome::Unchanged => {
                    draft.remove();
                    return self.print_unchanged(&item);
                }
                Outcome::Conflict(conflict) => item = merge(conflict, &draft)?,
            }
        }
    }

    /// Says where the text is if it comes to nothing.
    async fn update_or_keep(&self, item: &Item, yours: Content, draft: &DraftFile) -> Result<Outcome, Error> {
        let outcome = self.update(item, &yours.undisturbed(&Content::from(item))).await;
        if outcome.is_err() {
            output::note(&format!("Your text is kept in {}.", draft.path().display()));
        }
        outcome
    }

    async fn update(&self, item: &Item, yours: &Content) -> Result<Outcome, Error> {
        let Some(patch) = yours.patch_from(&Content::from(item)) else { return Ok(Outcome::Unchanged) };
        match self.api.update_item(item.id, &patch, item.version).await {
            Ok(item) => Ok(Outcome::Written(item)),
            Err(Error::Stale(problem)) => Ok(Outcome::Conflict(EditConflict {
                yours: yours.clone(),
                theirs: self.api.item(item.id).await?,
                based_on: item.version,
                draft: None,
                request_id: problem.request_id,
            })),
            Err(error) => Err(error),
        }
    }

    fn print_edited(&self, item: &Item) -> Result<(), Error> {
        match self.format {
            Format::Json => output::json(item),
            Format::Terminal | Format::Plain => {
                let id = dim(&item.id.to_string());
                output::line(&format!("Changed {id} {} (version {})", plain(&item.title), item.version))
            }
        }
    }

    fn print_unchanged(&self, item: &Item) -> Result<(), Error> {
        match self.format {
            Format::Json => output::json(item),
            Format::Terminal | Format::Plain => output::line("Nothing was changed."),
        }
    }
}

enum Outcome {
    Written(Item),
    Unchanged,
    Conflict(EditConflict),
}

impl EditConflict {
    /// Both versions, for reading.
    pub(crate) fn versions(&self) -> String {
        let theirs = Content::from(&self.theirs);
        format!(
            "--- theirs (version {})\n{}\n--- yours (based on version {})\n{}",
            self.theirs.version,
            readable(&theirs),
            self.based_on,
            readable(&self.yours)
        )
    }

    /// Both versions, for editing: yours on top, theirs below the scissors.
    fn to_draft(&self) -> String {
        let theirs = Content::from(&self.theirs);
        let version = self.theirs.version;
        let below = format!(
            "#\n# The item has changed meanwhile. It says now (version {version}):\n{}",
            quoted(&readable(&theirs))
        );
        self.yours.to_draft(&below)
    }
}

/// What the flags make of the item; nothing without flags.
fn changed(edit: &Edit, item: &Item) -> Result<Option<Content>, Error> {
    if edit.title.is_none() && edit.description.is_none() && !edit.no_description {
        return Ok(None);
    }
    let given = edit.description.as_deref().map(text_or_input).transpose()?;
    Ok(Some(Content {
        title: edit.title.clone().unwrap_or_else(|| item.title.clone()),
        description: if edit.no_description { None } else { given.or_else(|| item.description.clone()) },
    }))
}

/// What the draft says after editing; nothing if it was emptied.
fn read(draft: &DraftFile) -> Result<Option<Content>, Error> {
    let path = draft.path().display().to_string();
    Content::from_draft(&draft.edit()?).map_err(|NoTitle| {
        Error::Usage(format!("an item needs a title on the first line: your text is kept in {path}"))
    })
}

/// Puts both versions into the draft if the person wants to go on, and gives the one to build on.
fn merge(conflict: EditConflict, draft: &DraftFile) -> Result<Item, Error> {
    let conflict = EditConflict { draft: Some(draft.path().to_owned()), ..conflict };
    if !wants_to_merge(&conflict)? {
        return Err(self::conflict(conflict));
    }
    draft.write(&conflict.to_draft())?;
    Ok(conflict.theirs)
}

fn wants_to_merge(conflict: &EditConflict) -> Result<bool, Error> {
    if !output::can_ask() {
        return Ok(false);
    }
    output::note(&conflict.versions());
    output::confirm("\nThe item has changed meanwhile. Edit again, with both versions in the editor?")
}

fn conflict(conflict: EditConflict) -> Error {
    Error::EditConflict(Box::new(conflict))
}

fn readable(content: &Content) -> String {
    let description = content.description.as_deref().map(|text| format!("\n\n{text}")).unwrap_or_default();
    output::plain_lines(&format!("{}{description}", content.title))
}
