//! `logout`, `whoami`, `token`, and machine clients.

use std::time::Duration;

use crate::{
    stack::{ALICE, Fault, Stack},
    terminal::Terminal,
};

#[test]
fn commands_without_a_sign_in_ask_for_one() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    for command in [&["whoami"][..], &["token"], &["list"], &["add", "x"]] {
        terminal.run(command).assert_failure(3, "not signed in. Run `items login`");
    }
    assert_eq!(terminal.ok(["logout"]), "Not signed in.\n");
}

#[test]
fn token_prints_a_valid_token_and_nothing_else() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let run = terminal.run(["token"]);
    run.assert_code(0);
    assert_eq!(
        (run.stderr.as_str(), run.stdout.matches('.').count(), run.stdout.lines().count()),
        ("", 2, 1)
    );
    let url = format!("{}/users/me", stack.api_url);
    let status = stack.runtime.block_on(async {
        reqwest::Client::new().get(url).bearer_auth(run.stdout.trim()).send().await.unwrap().status()
    });
    assert_eq!(status, 200);
    let answer = terminal.json(["token"]);
    assert_eq!(answer["access_token"], run.stdout.trim());
    assert!((3500..=3600).contains(&answer["expires_in"].as_i64().unwrap()), "{answer}");
}

#[test]
fn whoami_shows_the_caller_and_the_email_of_the_id_token() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let whoami = terminal.json(["whoami"]);
    assert_eq!(whoami["username"], "alice");
    assert_eq!(whoami["email"], "alice@example.com");
    assert_eq!(whoami["groups"][0], "admins");
    assert_eq!(whoami["kind"], "user");
    assert_eq!(whoami["profile"], "local");
    assert!(terminal.ok(["whoami"]).contains("groups       admins"));
}

#[test]
fn forged_id_token_is_not_shown() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.change_session(|session| {
        let token = session["id_token"].as_str().unwrap();
        let (signed, _) = token.rsplit_once('.').unwrap();
        session["id_token"] = format!("{signed}.{}", "A".repeat(342)).into();
    });
    terminal.run(["whoami"]).assert_failure(1, "the ID token is not valid: the signature");
}

#[test]
fn id_token_of_another_user_is_rejected_for_its_subject() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let bob = Terminal::signed_in(&stack, crate::stack::BOB);
    let foreign = bob.session()["id_token"].clone();
    terminal.change_session(|session| session["id_token"] = foreign);
    terminal.run(["whoami"]).assert_failure(1, "the ID token is not valid: it names another user");
}

#[test]
fn logout_revokes_and_removes_the_tokens() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let before = std::fs::read(terminal.session_file()).unwrap();
    assert_eq!(terminal.json(["logout"])["revoked"], true);
    assert_eq!(stack.faults.revocations(), 1);
    assert!(!terminal.session_file().exists());
    terminal.run(["token"]).assert_failure(3, "not signed in");
    // A copy of the tokens cannot be used to refresh.
    std::fs::write(terminal.session_file(), before).unwrap();
    terminal.expire_access_token();
    terminal.run(["token"]).assert_failure(3, "the sign-in has ended");
}

#[test]
fn logout_removes_the_tokens_even_if_the_pool_is_down() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    stack.faults.inject([Fault::Unavailable]);
    terminal.run(["logout"]).assert_failure(6, "cannot revoke the refresh token");
    assert!(!terminal.session_file().exists());
}

#[test]
fn killed_logout_leaves_a_working_sign_in_or_none() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.crash(["logout"], "before-revoke");
    terminal.expire_access_token();
    terminal.ok(["token"]);
    terminal.crash(["logout"], "before-forget");
    terminal.expire_access_token();
    terminal.run(["token"]).assert_failure(3, "the sign-in has ended. Run `items login`");
    assert!(!terminal.session_file().exists());
}

#[test]
fn machine_signs_in_by_itself_and_reuses_its_token() {
    let stack = Stack::start();
    let terminal = Terminal::machine(&stack);
    let first = terminal.run(["token"]);
    first.assert_code(0);
    assert!(first.stderr.contains("No keyring is available"), "{first:?}");
    assert_eq!(terminal.ok(["token"]), first.stdout);
    assert_eq!(stack.faults.token_requests(), 1);
    let whoami = terminal.json(["whoami"]);
    assert_eq!((&whoami["kind"], &whoami["client_id"]), (&"machine".into(), &"localmachine".into()));
    let id = terminal.add("made by a machine");
    assert!(terminal.ok(["list"]).contains(&id));
    terminal.run(["login"]).assert_failure(2, "a machine's profile signs in by itself");
    assert_eq!(terminal.json(["logout"])["revoked"], false);
    assert_ne!(terminal.ok(["token"]), "");
    assert_eq!(stack.faults.token_requests(), 2);
}

#[test]
fn machine_needs_its_secret() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack).with("ITEMS_PROFILE", "local-machine");
    terminal.run(["token"]).assert_failure(3, "ITEMS_CLIENT_SECRET");
    let terminal = terminal.with("ITEMS_CLIENT_SECRET", "wrong");
    terminal.run(["token"]).assert_failure(4, "invalid_client");
}

#[test]
fn concurrent_machine_commands_make_one_token_request() {
    let stack = Stack::start();
    let terminal = Terminal::machine(&stack);
    stack.faults.inject([Fault::Slow(Duration::from_millis(500))]);
    let processes: Vec<_> = (0..8).map(|_| terminal.command(["token"]).spawn().unwrap()).collect();
    for process in processes {
        assert!(process.wait_with_output().unwrap().status.success());
    }
    assert_eq!(stack.faults.token_requests(), 1);
}
