//! `edit`: a change that never overwrites another change.

use serde_json::{Value, json};

use super::{Context, text_or_input};
use crate::{
    api::{Content, Item},
    arguments::Edit,
    draft::DraftFile,
    error::{Error, Exit},
    output::{self, Format, dim, plain},
};

impl Context<'_> {
    pub(super) async fn edit(&self, edit: &Edit) -> Result<(), Error> {
        let item = self.api.item(edit.id).await?;
        let original = Content::from(&item);
        let given = given(edit, &original)?;
        if let Some(version) = edit.if_version.filter(|version| *version != item.version) {
            return Err(self.conflict(&item, version, &given.unwrap_or(original), None, None));
        }
        match given {
            Some(yours) => self.update(&item, &original, &yours, None).await,
            None => self.edit_in_editor(&item).await,
        }
    }

    async fn edit_in_editor(&self, item: &Item) -> Result<(), Error> {
        output::note("Opening your editor: the title is on the first line, the description below it.");
        let text = Content::from(item).to_draft();
        let draft = DraftFile::create(item.id, &text)?;
        let yours = Content::from_draft(&draft.edit()?);
        // Drafts have neither line breaks in the title nor blank lines around the description, so drafts are compared.
        let original = Content::from_draft(&text);
        if yours.title.is_empty() && yours.description.is_some() {
            return Err(Error::usage("the first line, the title, is empty", draft.kept()));
        }
        let yours = if yours.title.is_empty() { original.clone() } else { yours };
        let outcome = self.update(item, &original, &yours, Some(&draft)).await;
        if outcome.is_ok() {
            draft.remove();
        }
        outcome
    }

    async fn update(
        &self,
        item: &Item,
        original: &Content,
        yours: &Content,
        draft: Option<&DraftFile>,
    ) -> Result<(), Error> {
        let Some(patch) = yours.patch_from(original) else {
            return self.format.print(item, "Nothing was changed.");
        };
        match self.api.update_item(item.id, &patch, item.version).await {
            Ok(item) => {
                let id = dim(&item.id.to_string());
                let text = format!("Changed {id} {} (version {})", plain(&item.title), item.version);
                self.format.print(&item, &text)
            }
            Err(error) if error.exit() == Exit::Conflict => {
                let request_id = error.detail("request_id").and_then(Value::as_str);
                let theirs = self.api.item(item.id).await?;
                Err(self.conflict(&theirs, item.version, yours, draft, request_id))
            }
            Err(error) => {
                if let Some(draft) = draft {
                    output::note(&draft.kept());
                }
                Err(error)
            }
        }
    }
    /// Returns the error of an edit that is based on an older version. Both texts are shown, so that neither is lost.
    fn conflict(
        &self,
        theirs: &Item,
        based_on: u64,
        yours: &Content,
        draft: Option<&DraftFile>,
        request_id: Option<&str>,
    ) -> Error {
        let version = theirs.version;
        if self.format != Format::Json {
            let (theirs, yours) = (readable(&Content::from(theirs)), readable(yours));
            output::note(&format!("--- theirs (version {version})\n{theirs}\n"));
            output::note(&format!("--- yours (based on version {based_on})\n{yours}\n"));
        }
        let request = output::request(request_id);
        let what = format!(
            "the item has changed: it is at version {version}, your edit is based on {based_on}{request}"
        );
        let hint = match draft {
            Some(draft) => format!("{} Edit again.", draft.kept()),
            None => "Compare the versions and edit again.".to_owned(),
        };
        Error::new(Exit::Conflict, what, hint)
            .with_detail("yours", json!(yours))
            .with_detail("theirs", json!(theirs))
            .with_detail("draft", json!(draft.map(DraftFile::path)))
            .with_detail("request_id", request_id)
    }
}

/// Returns the item with the changes that the flags name; nothing without such flags.
fn given(edit: &Edit, item: &Content) -> Result<Option<Content>, Error> {
    if edit.title.is_none() && edit.description.is_none() && !edit.no_description {
        return Ok(None);
    }
    let given = edit.description.as_deref().map(text_or_input).transpose()?;
    Ok(Some(Content {
        title: edit.title.clone().unwrap_or_else(|| item.title.clone()),
        description: if edit.no_description { None } else { given.or_else(|| item.description.clone()) },
    }))
}

fn readable(content: &Content) -> String {
    let description = content.description.as_deref().map(|text| format!("\n\n{text}")).unwrap_or_default();
    output::plain_lines(&format!("{}{description}", content.title))
}
