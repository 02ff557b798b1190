//! Gives the sample's resource another name, for a service of one's own: `cargo xtask rename note`.

use std::fs;

use crate::repository::Repository;

/// Where the resource has its name: the API, its clients, its deployment and its documents.
const RENAMED: [&str; 14] = [
    ".ci/",
    ".env.example",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "bench/",
    "crates/backend",
    "crates/cli/",
    "crates/cognito-local/",
    "crates/dev/",
    "deploy/",
    "docs/",
    "examples/",
    "infra/",
];
/// What speaks of DynamoDB's items, or is generated.
const KEPT: [&str; 3] = ["bench/get-item-loop/", "bench/dynamodb", "package-lock.json"];

/// DynamoDB, utoipa and Rust have items as well. A name that contains one of these is theirs.
const FOREIGN: [&str; 19] = [
    "PutItem",
    "GetItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItem",
    "TransactItems",
    "UnprocessedItems",
    "PathItem",
    "put_item",
    "get_item",
    "set_item",
    "to_item",
    "from_item",
    "write_item",
    "transact_items",
    "request_items",
    "unprocessed_items",
    "path_item",
];

/// The new name, and how it stands for each way to write the old one.
struct Name {
    forms: [(&'static str, String); 6],
}

impl Name {
    fn new(singular: &str, plural: &str) -> Result<Self, String> {
        if [singular, plural]
            .iter()
            .any(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase()))
        {
            return Err("a name is one English noun of the letters a to z, such as `note`".to_owned());
        }
        let capital = |name: &str| format!("{}{}", name[..1].to_ascii_uppercase(), &name[1..]);
        let forms = [
            // The plural first, because it begins like the singular.
            ("items", plural.to_owned()),
            ("Items", capital(plural)),
            ("ITEMS", plural.to_ascii_uppercase()),
            ("item", singular.to_owned()),
            ("Item", capital(singular)),
            ("ITEM", singular.to_ascii_uppercase()),
        ];
        Ok(Self { forms })
    }

    /// Renames the resource in a text. `storage` tells that `.item` and `.items` are DynamoDB's.
    fn apply(&self, text: &str, storage: bool) -> String {
        let mut renamed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            let (gap, after) = rest.split_at(start);
            let (word, tail) = after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()));
            renamed.push_str(gap);
            if is_foreign(&renamed, word, tail, storage) {
                renamed.push_str(word);
            } else {
                let new = self.rename(word);
                if new != word {
                    correct_article(&mut renamed, &new);
                }
                renamed.push_str(&new);
            }
            rest = tail;
        }
        renamed + rest
    }

    /// Renames the parts of a name: `ItemPatch`, `create_item`, `MAX_ITEMS`.
    fn rename(&self, word: &str) -> String {
        let mut renamed = String::new();
        let mut rest = word;
        while let Some(next) = rest.chars().next() {
            let begins = |form: &str| {
                let follower = rest[form.len()..].chars().next();
                let before = renamed.chars().last();
                let starts_part = form.starts_with('I') || !before.is_some_and(|c| c.is_ascii_alphabetic());
                starts_part && !follower.is_some_and(|c| c.is_ascii_lowercase())
            };
            match self.forms.iter().find(|(old, _)| rest.starts_with(old) && begins(old)) {
                Some((old, new)) => {
                    renamed.push_str(new);
                    rest = &rest[old.len()..];
                }
                None => {
                    renamed.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        renamed
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_foreign(before: &str, word: &str, after: &str, storage: bool) -> bool {
    // TypeScript's `export type Item` is the resource's.
    let associated_type = word == "Item"
        && !before.ends_with("export type ")
        && (before.ends_with('<') || before.ends_with("type "))
        && after.starts_with([':', ' ']);
    let of_the_sdk = matches!(word, "update_item" | "delete_item")
        && (before.ends_with('.') && after.starts_with("()") || after.starts_with("::"));
    let of_a_row = storage && matches!(word, "item" | "items") && before.ends_with('.');
    let of_the_document = before.rsplit('\n').next().is_some_and(|line| line.contains("OneOfBuilder"));
    let of_the_command = before.ends_with("put-") || before.ends_with("get-");
    let of_css = ["align-", "justify-", "place-"].iter().any(|property| before.ends_with(property));
    FOREIGN.iter().any(|foreign| word.contains(foreign))
        || associated_type
        || of_the_sdk
        || of_a_row
        || of_the_document
        || of_the_command
        || of_css
}

/// Makes "an item" "a note", and leaves "an item" as "an entry".
fn correct_article(before: &mut String, noun: &str) {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    if !vowel && (before.ends_with(" an ") || before.ends_with("An ")) {
        before.truncate(before.len() - 2);
        before.push(' ');
    }
}

/// Renames `item` to `singular` and `items` to `plural` in files and their names.
///
/// # Errors
///
/// A name is not a plain noun, or a file cannot be written.
pub(crate) fn rename(repository: &Repository, singular: &str, plural: &str) -> Result<(), String> {
    let name = Name::new(singular, plural)?;
    let mut count = 0;
    let files = repository.files().filter(|path| RENAMED.iter().any(|prefix| path.starts_with(prefix)));
    for path in files.filter(|path| !KEPT.iter().any(|kept| path.contains(kept))) {
        // Pictures and the like are not UTF-8.
        let Ok(text) = repository.read(path) else { continue };
        let (new_path, new_text) =
            (name.apply(path, false), name.apply(&text, path.contains("/src/services/")));
        if new_path == path && new_text == text {
            continue;
        }
        count += 1;
        write(repository, path, &new_path, &new_text)?;
    }
    println!(
        "Renamed items to {plural} in {count} files. Now run `cargo fmt`, and update the generated files \
         (docs/your-own.md)."
    );
    Ok(())
}

fn write(repository: &Repository, old: &str, new: &str, text: &str) -> Result<(), String> {
    let root = repository.root();
    let failed = |error| format!("cannot write {new}: {error}");
    fs::write(root.join(old), text).map_err(failed)?;
    if new != old {
        fs::create_dir_all(root.join(new).parent().unwrap_or(root)).map_err(failed)?;
        fs::rename(root.join(old), root.join(new)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(text: &str, storage: bool) -> String {
        Name::new("note", "notes").unwrap().apply(text, storage)
    }

    #[test]
    fn every_form_of_the_name_is_renamed() {
        let text = "An item: `create_item(ItemId)` of ITEM#1, GET /items/{id}, scope items/read, ItemsRead.";
        let expected =
            "A note: `create_note(NoteId)` of NOTE#1, GET /notes/{id}, scope notes/read, NotesRead.";
        assert_eq!(renamed(text, false), expected);
    }

    #[test]
    fn items_of_dynamodb_and_iterators_keep_their_name() {
        for text in [
            "client.put_item().set_item(row)",
            "client.update_item().table_name(t)",
            "OneOfBuilder::new().item(text)",
            "operation::update_item::UpdateItemError",
            "TransactWriteItemsError",
            "impl Iterator<Item = &str>",
            "itemize the kitem",
            "aws dynamodb get-item",
            "align-items: center",
        ] {
            assert_eq!(renamed(text, false), text);
        }
        assert_eq!(renamed("sent.items.map(read_item)", true), "sent.items.map(read_note)");
        assert_eq!(renamed("page.items", false), "page.notes");
        assert_eq!(
            renamed("export type Item = Schemas['Item'];", false),
            "export type Note = Schemas['Note'];"
        );
    }

    #[test]
    fn every_renamed_place_exists() {
        let repository = Repository::find().unwrap();
        for prefix in RENAMED {
            assert!(repository.files().any(|path| path.starts_with(prefix)), "{prefix}");
        }
    }

    #[test]
    fn names_that_are_not_a_noun_are_rejected() {
        for name in ["", "Note", "my note", "n0te"] {
            assert!(Name::new(name, "notes").is_err(), "{name}");
        }
    }
}
