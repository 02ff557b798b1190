//! Refreshing tokens: one process at a time, crashes, and the end of a sign-in.

use std::{collections::BTreeSet, time::Duration};

use cognito_local::RefreshTokenRotation;

use crate::{
    stack::{ALICE, Fault, Stack},
    terminal::{Run, Terminal},
};

/// Shorter than the 10 s by which verifiers let clocks differ, so that they accept tokens that are issued after it.
const GRACE: RefreshTokenRotation = RefreshTokenRotation { retry_grace_period_seconds: 2 };

const PAST_GRACE: Duration = Duration::from_secs(5);

#[test]
fn expiring_token_is_refreshed_and_rotated() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let before = terminal.session();
    let soon = before["expires_at"].as_i64().unwrap() - 3550;
    terminal.change_session(|session| session["expires_at"] = soon.into());
    let token = terminal.ok(["token"]);
    let after = terminal.session();
    assert_eq!(after["access_token"], token.trim());
    for name in ["access_token", "refresh_token", "id_token"] {
        assert_ne!(after[name], before[name], "{name}");
    }
    assert_eq!(after["identity"], before["identity"]);
    assert_eq!(terminal.ok(["token"]), token);
    assert_eq!(stack.faults.token_requests(), 2);
    assert_eq!(terminal.json(["whoami"])["email"], "alice@example.com");
}

#[test]
fn without_rotation_the_refresh_token_stays() {
    let stack = Stack::with(|config| config.clients[0].refresh_token_rotation = None);
    let terminal = Terminal::signed_in(&stack, ALICE);
    let before = terminal.session();
    terminal.expire_access_token();
    terminal.ok(["token"]);
    let after = terminal.session();
    assert_eq!(after["refresh_token"], before["refresh_token"]);
    assert_ne!(after["access_token"], before["access_token"]);
}

#[test]
fn fifty_processes_make_one_refresh_and_all_succeed() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.expire_access_token();
    let before = stack.faults.token_requests();
    // So slow that all processes have started before the first has finished.
    stack.faults.inject([Fault::Slow(Duration::from_secs(2))]);
    let processes: Vec<_> = (0..50).map(|_| terminal.command(["token"]).spawn().unwrap()).collect();
    let runs = processes.into_iter().map(|process| Run::of(process.wait_with_output().unwrap()));
    let tokens: BTreeSet<_> = runs
        .map(|run| {
            run.assert_code(0);
            assert_eq!(run.stderr, "");
            run.stdout
        })
        .collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(stack.faults.token_requests() - before, 1);
    // The sign-in still works.
    terminal.expire_access_token();
    terminal.ok(["token"]);
}

#[test]
fn rejected_access_token_is_refreshed_once() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let valid = terminal.session()["access_token"].as_str().unwrap().to_owned();
    terminal.change_session(|session| session["access_token"] = format!("{valid}x").into());
    assert_eq!(terminal.ok(["list"]), "");
    assert_eq!(stack.faults.token_requests(), 2);
}

#[test]
fn api_that_rejects_every_token_is_called_twice() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    // A day later, the API rejects the pool's tokens as not yet valid.
    stack.clock.advance(Duration::from_secs(24 * 60 * 60));
    terminal.expire_access_token();
    let run = terminal.run(["list"]);
    run.assert_failure(3, "the API rejected the sign-in");
    assert!(run.stderr.contains("(request "), "{run:?}");
    assert_eq!(stack.faults.token_requests(), 3);
}

#[test]
fn killed_refresh_can_be_repeated_within_the_grace_period() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    for point in
        ["before-refresh", "after-refresh", "before-sync", "before-rename", "after-rename", "before-use"]
    {
        terminal.expire_access_token();
        terminal.crash(["token"], point);
        let token = terminal.ok(["token"]);
        assert_eq!(terminal.session()["access_token"], token.trim(), "{point}");
        assert_eq!(terminal.json(["whoami"])["username"], "alice", "{point}");
    }
}

#[test]
fn killed_refresh_is_complete_or_ended_after_the_grace_period() {
    for (point, is_stored) in [
        ("before-refresh", true),
        ("after-refresh", false),
        ("before-sync", false),
        ("before-rename", false),
        ("after-rename", true),
        ("before-use", true),
    ] {
        let stack = Stack::with(|config| config.clients[0].refresh_token_rotation = Some(GRACE));
        let terminal = Terminal::signed_in(&stack, ALICE);
        terminal.expire_access_token();
        terminal.crash(["token"], point);
        stack.clock.advance(PAST_GRACE);
        terminal.expire_access_token();
        let run = terminal.run(["token"]);
        if is_stored {
            run.assert_code(0);
        } else {
            // The new refresh token is lost, and reuse of the old one ends the sign-in.
            run.assert_failure(3, "the sign-in has ended. Run `items login`");
            assert!(!terminal.session_file().exists());
            terminal.login(ALICE).assert_code(0);
        }
        terminal.ok(["whoami"]);
    }
}

#[test]
fn refresh_is_repeated_at_once_after_a_lost_response() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.expire_access_token();
    stack.faults.inject([Fault::LostResponse]);
    terminal.ok(["token"]);
    assert_eq!(stack.faults.token_requests(), 3);
    terminal.expire_access_token();
    terminal.ok(["token"]);
}

#[test]
fn ended_sign_in_is_removed() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.expire_access_token();
    terminal.change_session(|session| session["refresh_token"] = "expired".into());
    terminal.run(["list"]).assert_failure(3, "the sign-in has ended. Run `items login`");
    assert!(!terminal.session_file().exists());
    terminal.run(["list"]).assert_failure(3, "not signed in");
    assert_eq!(stack.faults.token_requests(), 2);
}

#[test]
fn sign_in_survives_an_unavailable_pool() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.expire_access_token();
    stack.faults.inject([Fault::Unavailable; 2]);
    terminal.run(["token"]).assert_failure(6, "the user pool at http://localhost:");
    terminal.ok(["token"]);
}

#[test]
fn expiring_token_is_used_while_the_pool_is_down() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let session = terminal.session();
    let soon = session["expires_at"].as_i64().unwrap() - 3550;
    terminal.change_session(|session| session["expires_at"] = soon.into());
    stack.faults.inject([Fault::Unavailable; 2]);
    assert_eq!(terminal.ok(["token"]).trim(), session["access_token"]);
}

#[test]
fn tokens_of_another_pool_or_client_are_not_used() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.run(["token", "--client-id", "other"]).assert_failure(3, "not signed in");
    let issuer = format!("{}/us-east-1_Other", stack.pool_url);
    terminal.run(["token", "--issuer", &issuer]).assert_failure(3, "not signed in");
}

#[test]
fn damaged_or_older_file_asks_to_sign_in_again() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    for damage in ["", "{", r#"{"protection":"keyring","sealed":"AAAA"}"#, &"x".repeat(300_000)] {
        std::fs::write(terminal.session_file(), damage).unwrap();
        let message = "the stored sign-in is damaged or from another version. Run `items login`";
        terminal.run(["token"]).assert_failure(3, message);
    }
    terminal.login(ALICE).assert_code(0);
    terminal.ok(["token"]);
}

#[cfg(unix)]
#[test]
fn files_are_readable_for_their_owner_only() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let folder = terminal.state_folder().join("sessions");
    let left_by_a_crash = terminal.write(".local/state/items/sessions/local.json.new", "tokens");
    for path in [&folder, &left_by_a_crash] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    terminal.login(ALICE).assert_code(0);
    terminal.expire_access_token();
    terminal.ok(["token"]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&terminal.session_file()), 0o600);
    let files = std::fs::read_dir(&folder).unwrap();
    let names: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["local.json", "local.lock"].map(str::to_owned).into());
}
