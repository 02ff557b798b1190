//! `add`, `list`, `show`, `rm`, `profile`.

use serde_json::{Value, json};

use crate::{
    stack::{ALICE, BOB, Stack},
    terminal::Terminal,
};

#[test]
fn item_is_added_shown_and_removed() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.ok(["add", "Buy", "milk", "-d", "Two litres."]).trim().to_owned();
    let shown = terminal.json(["show", &id]);
    assert_eq!(shown["title"], "Buy milk");
    assert_eq!(shown["description"], "Two litres.");
    assert_eq!((&shown["version"], &shown["attachments"]), (&json!(1), &json!([])));
    let text = terminal.ok(["show", &id]);
    assert!(
        text.starts_with("Buy milk\n") && text.contains("version  1") && text.ends_with("\nTwo litres.\n"),
        "{text}"
    );
    assert_eq!(terminal.ok(["rm", &id]), format!("Removed {id}\n"));
    let run = terminal.run(["show", &id]);
    run.assert_failure(4, "List your items with `items list`.");
}

#[test]
fn description_is_read_from_standard_input() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let run = terminal.run_with_input(["add", "Poem", "-d", "-", "--json"], "two\nlines\n");
    let item: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(item["description"], "two\nlines");
}

#[test]
fn list_fetches_as_many_pages_as_it_needs() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, BOB);
    assert_eq!(terminal.ok(["list"]), "");
    assert_eq!(terminal.json(["list"]), json!([]));
    let token = terminal.ok(["token"]);
    let url = format!("{}/items", stack.api_url);
    stack.runtime.block_on(async {
        let http = reqwest::Client::new();
        for number in 0..130 {
            let item = json!({"title": format!("item {number}\twith a\ttab")});
            let answer = http.post(&url).bearer_auth(token.trim()).json(&item).send().await.unwrap();
            assert_eq!(answer.status(), 201);
        }
    });
    let lines = terminal.ok(["list"]);
    assert_eq!(lines.lines().count(), 20);
    let fields: Vec<_> = lines.lines().next().unwrap().split('\t').collect();
    assert_eq!((fields.len(), fields[2]), (3, "item 129 with a tab"));
    assert_eq!(terminal.ok(["ls", "-n", "105"]).lines().count(), 105);
    assert_eq!(terminal.ok(["list", "--all"]).lines().count(), 130);
    let all = terminal.json(["list", "--all"]);
    let titles: Vec<_> =
        all.as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..130).rev().map(|number| format!("item {number}\twith a\ttab")).collect();
    assert_eq!(titles, expected);
}

#[test]
fn invalid_title_is_reported_with_its_field() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.run(["add", &"x".repeat(201)]).assert_failure(4, "title must have 1 to 200 characters, not 201");
    let mut command = terminal.command(["add", &"x".repeat(201), "--json"]);
    let run = crate::terminal::Run::of(command.output().unwrap());
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    let error = &error["error"];
    assert_eq!((&error["exit_code"], &error["status"]), (&json!(4), &json!(422)));
    assert_eq!(error["errors"][0]["pointer"], "/title");
    assert!(error["request_id"].as_str().is_some_and(|id| id.len() >= 16), "{error}");
}

#[test]
fn item_of_another_user_is_not_found() {
    let stack = Stack::start();
    let (alice, bob) = (Terminal::signed_in(&stack, ALICE), Terminal::signed_in(&stack, BOB));
    let id = alice.add("hers");
    bob.run(["show", &id]).assert_failure(4, "there is no such item");
    bob.run(["rm", &id]).assert_failure(4, "there is no such item");
    assert_eq!(alice.json(["show", &id])["title"], "hers");
}

#[test]
fn item_is_removed_only_at_the_given_version() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("one");
    terminal.ok(["edit", &id, "--title", "two"]);
    terminal.run(["rm", &id, "--if-version", "1"]).assert_failure(5, "has another version by now");
    assert_eq!(terminal.json(["rm", &id, "--if-version", "2"]), json!({"removed": [id]}));
}

#[test]
fn removal_stops_at_the_first_failure_and_reports_what_was_removed() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (one, other) = (terminal.add("one"), terminal.add("other"));
    let nil = "00000000-0000-0000-0000-000000000000";
    let run = terminal.run(["rm", &one, nil, &other]);
    run.assert_code(4);
    assert_eq!(run.stdout, format!("Removed {one}\n"));
    assert_eq!(terminal.json(["show", &other])["title"], "other");
}

#[test]
fn text_from_the_api_cannot_control_the_terminal() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("right\u{202e}left");
    for text in [terminal.ok(["list"]), terminal.ok(["show", &id])] {
        assert!(text.contains("right left") && !text.contains('\u{202e}'), "{text:?}");
    }
}

#[test]
fn profile_is_set_changed_and_removed() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    assert!(terminal.ok(["profile"]).contains("You have no profile."));
    assert_eq!(terminal.json(["profile"]), Value::Null);
    terminal.run(["profile", "set", "--bio", "x"]).assert_failure(2, "--display-name");
    assert_eq!(terminal.ok(["profile", "set", "-n", "Alice", "-b", "Likes lists."]), "Alice\nLikes lists.\n");
    assert_eq!(terminal.json(["profile", "set", "-n", "Al"])["bio"], "Likes lists.");
    assert_eq!(terminal.json(["profile", "set", "--no-bio"])["bio"], Value::Null);
    assert_eq!(terminal.json(["profile"])["display_name"], "Al");
    assert_eq!(terminal.ok(["profile", "rm"]), "Removed the profile.\n");
    assert_eq!(terminal.json(["profile"]), Value::Null);
}
