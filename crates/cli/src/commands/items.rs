//! `list`, `add`, `show`, `rm`.

use serde_json::json;
use uuid::Uuid;

use super::{Context, text_or_input};
use crate::{
    api::{Attachment, Item, NewItem, PageRequest},
    arguments::{Add, List, Remove},
    error::Error,
    output::{self, Format, age, bold, dim, fit, plain, plain_lines},
};

/// The largest page that the API gives.
const MAX_PAGE: u64 = 100;

const ID_COLUMNS: usize = 36;
const AGE_COLUMNS: usize = 12;

impl Context<'_> {
    /// Prints page after page as they come.
    pub(super) async fn list(&self, options: &List) -> Result<(), Error> {
        let mut left = if options.all { u64::MAX } else { options.limit };
        let mut printer = ItemPrinter { format: self.format, printed: 0 };
        let mut cursor = None;
        loop {
            let request = PageRequest { limit: left.min(MAX_PAGE), cursor: cursor.as_deref() };
            let page = self.api.items(request).await?;
            for item in &page.items {
                printer.print(item)?;
            }
            left = left.saturating_sub(u64::try_from(page.items.len()).unwrap_or(u64::MAX));
            cursor = page.next_cursor;
            if cursor.is_none() || left == 0 {
                return printer.finish(cursor.is_some());
            }
        }
    }

    pub(super) async fn add(&self, add: Add) -> Result<(), Error> {
        let description = add.description.as_deref().map(text_or_input).transpose()?;
        let item = self.api.create_item(&NewItem { title: add.title.join(" "), description }).await?;
        match self.format {
            Format::Json => output::json(&item),
            Format::Terminal => {
                output::line(&format!("Added {} {}", dim(&item.id.to_string()), plain(&item.title)))
            }
            Format::Plain => output::line(&item.id.to_string()),
        }
    }

    pub(super) async fn show(&self, id: Uuid) -> Result<(), Error> {
        let item = self.api.item(id).await?;
        let attachments = match self.api.attachments(id).await {
            // A server without a bucket says 501.
            Err(Error::Refused(problem)) if problem.status == 501 => Vec::new(),
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
            return Err(Error::Usage("--if-version is for one item: remove them one by one".into()));
        }
        if !remove.yes && output::can_ask() && !self.confirm_removal(&remove.ids).await? {
            return Err(Error::Usage("nothing was removed: answer `y`, or use --yes".into()));
        }
        let mut removed = Vec::new();
        let mut outcome = Ok(());
        for id in &remove.ids {
            outcome = self.api.delete_item(*id, remove.if_version).await;
            if outcome.is_err() {
                break;
            }
            removed.push(id);
            if self.format != Format::Json {
                output::line(&format!("Removed {id}"))?;
            }
        }
        if self.format == Format::Json {
            output::json(&json!({ "removed": removed }))?;
        }
        outcome
    }

    async fn confirm_removal(&self, ids: &[Uuid]) -> Result<bool, Error> {
        for id in ids {
            let item = self.api.item(*id).await?;
            output::note(&format!("{} {}", dim(&id.to_string()), plain(&item.title)));
        }
        output::confirm("Remove with all attachments?")
    }
}

/// Writes items one by one: an array in JSON, else a row each.
struct ItemPrinter {
    format: Format,
    printed: u64,
}

impl ItemPrinter {
    fn print(&mut self, item: &Item) -> Result<(), Error> {
        let is_first = self.printed == 0;
        self.printed += 1;
        match self.format {
            Format::Json => {
                let item = serde_json::to_string(item)
                    .map_err(|error| Error::io("the item cannot be written as JSON")(error.into()))?;
                output::line(&format!("{}{item}", if is_first { "[\n  " } else { ", " }))
            }
            Format::Plain => {
                output::line(&format!("{}\t{}\t{}", item.id, item.updated_at, plain(&item.title)))
            }
            Format::Terminal => {
                let columns = output::columns().saturating_sub(ID_COLUMNS + AGE_COLUMNS + 4).max(10);
                if is_first {
                    let head = |text, columns| bold(&fit(text, columns));
                    output::line(&format!(
                        "{}  {}  {}",
                        head("ID", ID_COLUMNS),
                        head("TITLE", columns),
                        bold("UPDATED")
                    ))?;
                }
                let title = fit(&item.title, columns);
                output::line(&format!("{}  {title}  {}", dim(&item.id.to_string()), age(&item.updated_at)))
            }
        }
    }

    fn finish(self, has_more: bool) -> Result<(), Error> {
        match (self.format, self.printed) {
            (Format::Json, 0) => output::line("[]"),
            (Format::Json, _) => output::line("]"),
            (Format::Terminal, 0) => output::line("You have no items. Add one with `items add`."),
            (Format::Terminal, _) if has_more => output::line(&dim("There are more: use --all or --limit.")),
            (Format::Terminal | Format::Plain, _) => Ok(()),
        }
    }
}

fn print_item(item: &Item) -> Result<(), Error> {
    output::line(&bold(&plain(&item.title)))?;
    for (label, value) in [
        ("id", item.id.to_string()),
        ("version", item.version.to_string()),
        ("created", format!("{} ({})", item.created_at, age(&item.created_at))),
        ("updated", format!("{} ({})", item.updated_at, age(&item.updated_at))),
    ] {
        output::line(&format!("{} {}", dim(&fit(label, 8)), plain(&value)))?;
    }
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
