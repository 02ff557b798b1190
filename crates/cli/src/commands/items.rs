//! `list`, `add`, `show`, `rm`.

use serde_json::json;
use uuid::Uuid;

use super::{Context, text_or_input, until_failure};
use crate::{
    api::{Attachment, Content, Item},
    arguments::{Add, List, Remove},
    error::Error,
    output::{self, Format, age, bold, dim, fit, plain, plain_lines},
};

/// The largest page of the API.
const MAX_PAGE: u64 = 100;

const ID_COLUMNS: usize = 36;
const AGE_COLUMNS: usize = 14;

impl Context<'_> {
    pub(super) async fn list(&self, options: &List) -> Result<(), Error> {
        let mut left = if options.all { u64::MAX } else { options.limit };
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.api.items(left.min(MAX_PAGE), cursor.as_deref()).await?;
            left = left.saturating_sub(u64::try_from(page.items.len()).unwrap_or(u64::MAX));
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || left == 0 {
                break;
            }
        }
        match self.format {
            Format::Json => output::json(&items),
            Format::Terminal => print_table(&items, cursor.is_some()),
            Format::Plain => items.iter().try_for_each(|item| {
                output::line(&format!("{}\t{}\t{}", item.id, item.updated_at, plain(&item.title)))
            }),
        }
    }

    pub(super) async fn add(&self, add: Add) -> Result<(), Error> {
        let description = add.description.as_deref().map(text_or_input).transpose()?;
        let item = self.api.create_item(&Content { title: add.title.join(" "), description }).await?;
        let id = item.id.to_string();
        self.format.print_or_plain(&item, &format!("Added {} {}", dim(&id), plain(&item.title)), &id)
    }

    pub(super) async fn show(&self, id: Uuid) -> Result<(), Error> {
        let item = self.api.item(id).await?;
        let attachments = match self.api.attachments(id).await {
            // A server without a bucket.
            Err(error) if error.has_status(501) => Vec::new(),
            attachments => attachments?,
        };
        if self.format == Format::Json {
            let mut shown = json!(item);
            shown["attachments"] = json!(attachments);
            return output::json(&shown);
        }
        print_item(&item)?;
        print_attachments(&attachments)
    }

    pub(super) async fn remove(&self, remove: &Remove) -> Result<(), Error> {
        if remove.if_version.is_some() && remove.ids.len() > 1 {
            return Err(Error::usage("--if-version is for one item", "Remove the items one by one."));
        }
        if !remove.yes && output::can_ask() && !self.confirm_removal(&remove.ids).await? {
            return Err(Error::usage("nothing was removed", "Answer `y`, or use --yes."));
        }
        let (removed, outcome) = until_failure(&remove.ids, async |id| {
            self.api.delete_item(*id, remove.if_version).await?;
            let text = format!("Removed {id}");
            self.format.progress(&text, &text)?;
            Ok(id)
        })
        .await;
        self.format.summary(&json!({ "removed": removed }))?;
        outcome
    }

    async fn confirm_removal(&self, ids: &[Uuid]) -> Result<bool, Error> {
        for id in ids {
            let item = self.api.item(*id).await?;
            output::note(&format!("{} {}", dim(&id.to_string()), plain(&item.title)));
        }
        output::confirm("Remove the items and their attachments?")
    }
}

fn print_table(items: &[Item], has_more: bool) -> Result<(), Error> {
    if items.is_empty() {
        return output::line("You have no items. Add one with `items add`.");
    }
    let columns = output::columns().saturating_sub(ID_COLUMNS + AGE_COLUMNS + 4).max(10);
    let head = |text, columns| bold(&fit(text, columns));
    output::line(&format!("{}  {}  {}", head("ID", ID_COLUMNS), head("TITLE", columns), bold("UPDATED")))?;
    for item in items {
        let (id, title) = (dim(&item.id.to_string()), fit(&item.title, columns));
        output::line(&format!("{id}  {title}  {}", age(&item.updated_at)))?;
    }
    if has_more { output::line(&dim("There are more: use --all or --limit.")) } else { Ok(()) }
}

fn print_item(item: &Item) -> Result<(), Error> {
    output::line(&bold(&plain(&item.title)))?;
    let time = |timestamp: &str| format!("{timestamp} ({})", age(timestamp));
    output::fields(
        8,
        &[
            ("id", item.id.to_string()),
            ("version", item.version.to_string()),
            ("created", time(&item.created_at)),
            ("updated", time(&item.updated_at)),
        ],
    )?;
    match &item.description {
        Some(description) => output::line(&format!("\n{}", plain_lines(description))),
        None => Ok(()),
    }
}

fn print_attachments(attachments: &[Attachment]) -> Result<(), Error> {
    if attachments.is_empty() {
        return Ok(());
    }
    output::line(&format!("\n{}", bold("Attachments")))?;
    for attachment in attachments {
        let Attachment { id, filename, size, content_type, .. } = attachment;
        let (size, name, kind) = (fit(&output::size(*size), 10), plain(filename), plain(content_type));
        output::line(&format!("{}  {size}  {name}  {}", dim(&id.to_string()), dim(&kind)))?;
    }
    Ok(())
}
