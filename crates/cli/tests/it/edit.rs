//! `edit`: by flags and in an editor, with conflicts.

#![cfg(unix)]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    stack::{ALICE, Stack},
    terminal::{Terminal, script},
};

/// Sets a script as the terminal's editor.
fn with_editor<'a>(terminal: Terminal<'a>, body: &str) -> Terminal<'a> {
    let path = terminal.home.path().join("my editor");
    script(&path, body);
    terminal.with("EDITOR", &format!("'{}' --wait", path.display()))
}

fn drafts(terminal: &Terminal<'_>) -> Vec<PathBuf> {
    let files = std::fs::read_dir(terminal.state_folder().join("drafts"));
    files.into_iter().flatten().map(|file| file.unwrap().path()).collect()
}

/// Returns a script that changes the item as another user would, and then edits the draft.
fn meanwhile(id: &str) -> String {
    let items = Path::new(env!("CARGO_BIN_EXE_items")).display();
    format!(
        "'{items}' edit {id} --title 'their title' >/dev/null || exit 9\nprintf 'my title\\n\\nmy text\\n' > \"$2\""
    )
}

#[test]
fn flags_change_only_the_fields_they_name() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.ok(["add", "Buy milk", "-d", "Two litres."]).trim().to_owned();
    let item = terminal.json(["edit", &id, "--title", "Buy oat milk"]);
    assert_eq!(
        (&item["title"], &item["description"], &item["version"]),
        (&"Buy oat milk".into(), &"Two litres.".into(), &2.into())
    );
    let run = terminal.run_with_input(["edit", &id, "-d", "-"], "Three.\n");
    assert!(run.stdout.contains("Changed") && run.stdout.contains("(version 3)"), "{run:?}");
    assert_eq!(terminal.json(["edit", &id, "--no-description"])["description"], Value::Null);
    assert_eq!(terminal.ok(["edit", &id, "--title", "Buy oat milk"]), "Nothing was changed.\n");
    assert_eq!(terminal.json(["show", &id])["version"], 4);
}

#[test]
fn editor_shows_the_item_and_its_text_is_saved() {
    let stack = Stack::start();
    let terminal = with_editor(
        Terminal::signed_in(&stack, ALICE),
        "cp \"$2\" seen; sed -i 's/milk/oat milk/; s/Two/Three/' \"$2\"",
    );
    let id = terminal.ok(["add", "Buy milk", "-d", "Two litres.\n\n# kept"]).trim().to_owned();
    let item = terminal.json(["edit", &id]);
    assert_eq!(item["title"], "Buy oat milk");
    assert_eq!(item["description"], "Three litres.\n\n# kept");
    let seen = std::fs::read_to_string(terminal.home.path().join("seen")).unwrap();
    assert_eq!(seen, "Buy milk\n\nTwo litres.\n\n# kept\n");
    assert_eq!(drafts(&terminal), [] as [PathBuf; 0]);
}

#[test]
fn unchanged_or_empty_draft_changes_nothing() {
    let stack = Stack::start();
    let terminal = with_editor(Terminal::signed_in(&stack, ALICE), "true");
    let id = terminal.ok(["add", "two\nlines", "-d", "\n\ntext\n\n"]).trim().to_owned();
    assert_eq!(terminal.ok(["edit", &id]), "Nothing was changed.\n");
    let terminal = with_editor(terminal, ": > \"$2\"");
    assert_eq!(terminal.ok(["edit", &id]), "Nothing was changed.\n");
    assert_eq!(terminal.json(["show", &id])["version"], 1);
    assert_eq!(drafts(&terminal), [] as [PathBuf; 0]);
}

#[test]
fn draft_is_kept_when_the_editor_fails() {
    let stack = Stack::start();
    let terminal = with_editor(Terminal::signed_in(&stack, ALICE), "echo mine > \"$2\"; exit 1");
    let id = terminal.add("x");
    terminal.run(["edit", &id]).assert_failure(2, "failed. Set EDITOR");
    assert_eq!(std::fs::read_to_string(&drafts(&terminal)[0]).unwrap(), "mine\n");
}

#[test]
fn draft_is_kept_when_the_api_rejects_it() {
    let stack = Stack::start();
    let terminal = with_editor(Terminal::signed_in(&stack, ALICE), "printf '%0201d' 0 > \"$2\"");
    let id = terminal.add("x");
    let run = terminal.run(["edit", &id]);
    run.assert_failure(4, "title must have 1 to 200 characters");
    assert!(run.stderr.contains("Your text is in"), "{run:?}");
    assert_eq!(std::fs::read_to_string(&drafts(&terminal)[0]).unwrap(), format!("{:0201}", 0));
}

#[test]
fn conflict_shows_both_versions_and_keeps_the_draft() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("first title");
    let editor = meanwhile(&id);
    let terminal = with_editor(terminal, &editor);
    let run = terminal.run(["edit", &id]);
    run.assert_failure(5, "the item has changed: it is at version 2, your edit is based on 1");
    for part in [
        "--- theirs (version 2)\ntheir title",
        "--- yours (based on version 1)\nmy title\n\nmy text",
        "(request ",
    ] {
        assert!(run.stderr.contains(part), "no {part}: {run:?}");
    }
    let drafts = drafts(&terminal);
    assert!(run.stderr.contains(drafts[0].to_str().unwrap()), "{run:?}");
    assert_eq!(std::fs::read_to_string(&drafts[0]).unwrap(), "my title\n\nmy text\n");
    assert_eq!(terminal.json(["show", &id])["title"], "their title");
}

#[test]
fn conflict_in_json_contains_both_versions() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("first title");
    terminal.ok(["edit", &id, "--title", "their title"]);
    let arguments = ["edit", &id, "--title", "my title", "--if-version", "1", "--json"];
    let run = terminal.run(arguments);
    run.assert_code(5);
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(error["error"]["yours"], json!({"title": "my title", "description": null}));
    assert_eq!(error["error"]["theirs"]["title"], "their title");
    assert_eq!(terminal.json(["show", &id])["title"], "their title");
}
