//! `items login`.

use serde_json::Value;

use crate::{
    stack::{ALICE, BOB, Stack},
    terminal::{Browser, Run, Terminal},
};

#[test]
fn login_in_the_hosted_ui_is_confirmed_in_browser_and_terminal() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login([] as [&str; 0]);
    for (name, expected) in
        [("response_type", "code"), ("client_id", "localweb"), ("code_challenge_method", "S256")]
    {
        assert_eq!(login.parameter(name), expected);
    }
    assert!(login.parameter("redirect_uri").starts_with("http://127.0.0.1:"));
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(login.parameter(name).len(), 43, "{name}");
    }
    let page = Browser::new(&stack).sign_in(&login.url, ALICE);
    assert!(page.contains("You are signed in") && page.contains("close this tab"), "{page}");
    let run = login.finish();
    run.assert_code(0);
    assert_eq!(run.stdout, "Signed in as alice.\n");
    assert!(run.stderr.contains("No keyring is available"), "{run:?}");
    assert!(terminal.ok(["whoami"]).contains("alice <alice@example.com>"));
}

#[test]
fn login_in_json_reports_the_user_and_the_token_store() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login(["--json"]);
    Browser::new(&stack).sign_in(&login.url, BOB);
    let answer: Value = serde_json::from_str(&login.finish().stdout).unwrap();
    assert_eq!((&answer["username"], &answer["tokens_in"]), (&"bob".into(), &"file".into()));
    assert_eq!(answer["sub"], terminal.json(["whoami"])["sub"]);
}

#[test]
fn forged_callback_is_rejected_and_the_login_continues() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login([] as [&str; 0]);
    let (callback, browser) = (login.parameter("redirect_uri"), Browser::new(&stack));
    let state = login.parameter("state");
    let ambiguous = ["", "&code=", "&code=a&code=b", "&code=a&error=b", &format!("&state={state}&code=a")];
    let ambiguous = ambiguous.map(|rest| format!("state={state}{rest}"));
    let forged = ["code=stolen&state=guessed", "code=stolen", "error=access_denied&state=x", ""];
    for forged in forged.into_iter().chain(ambiguous.iter().map(String::as_str)) {
        let page = browser.get(&format!("{callback}?{forged}"));
        assert!(page.contains("not the expected response"), "{forged}: {page}");
    }
    assert_eq!(stack.faults.token_requests(), 0);
    assert!(browser.sign_in(&login.url, ALICE).contains("You are signed in"));
    login.finish().assert_code(0);
}

#[test]
fn wrong_code_fails_the_login_in_browser_and_terminal() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login([] as [&str; 0]);
    let (callback, state) = (login.parameter("redirect_uri"), login.parameter("state"));
    let page = Browser::new(&stack).get(&format!("{callback}?code=wrong&state={state}"));
    assert!(page.contains("You are not signed in"), "{page}");
    login.finish().assert_failure(3, "invalid_grant");
    assert!(!terminal.session_file().exists());
}

#[test]
fn rejected_authorization_request_is_reported() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack).with("ITEMS_SCOPES", "openid items/everything");
    let login = terminal.begin_login([] as [&str; 0]);
    let page = Browser::new(&stack).get(&login.url);
    assert!(page.contains("You are not signed in"), "{page}");
    login.finish().assert_failure(3, "invalid_scope");
}

#[test]
fn id_token_with_another_nonce_is_rejected() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login([] as [&str; 0]);
    let nonce = login.parameter("nonce");
    // An attacker has replaced the code by that of another sign-in: everything is right except for the nonce.
    let url = login.url.replace(&nonce, "another-nonce");
    let page = Browser::new(&stack).sign_in(&url, ALICE);
    assert!(page.contains("You are not signed in"), "{page}");
    login.finish().assert_failure(1, "the ID token is not valid: its nonce is not");
    assert!(!terminal.session_file().exists());
}

#[test]
fn id_token_of_another_issuer_is_rejected() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack).with("ITEMS_ISSUER", &format!("{}/us-east-1_Other", stack.pool_url));
    let run = terminal.login(ALICE);
    assert!(!run.status.success());
    assert!(run.stderr.contains("keys of the user pool") || run.stderr.contains("is not valid"), "{run:?}");
    assert!(!run.stdout.contains("alice") && !run.stderr.contains("alice"), "{run:?}");
}

#[test]
fn clock_that_is_behind_is_reported() {
    let stack = Stack::start();
    stack.clock.advance(std::time::Duration::from_secs(180 * 60));
    let terminal = Terminal::new(&stack);
    terminal
        .login(ALICE)
        .assert_failure(1, "this machine's clock is 3 hours behind the user pool's. Set the clock");
}

#[test]
fn scopes_are_read_from_the_api_unless_the_profile_sets_them() {
    let stack = Stack::start();
    let login = Terminal::new(&stack).begin_login([] as [&str; 0]);
    assert_eq!(login.parameter("scope"), "openid email profile items/read items/write");
    let terminal = Terminal::new(&stack).with("ITEMS_SCOPES", "openid items/read");
    assert_eq!(terminal.begin_login([] as [&str; 0]).parameter("scope"), "openid items/read");
}

#[test]
fn redirect_uri_can_have_a_fixed_port() {
    let stack = Stack::start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let uri = format!("http://localhost:{port}/callback");
    let terminal = Terminal::new(&stack).with("ITEMS_REDIRECT_URI", &uri);
    let login = terminal.begin_login([] as [&str; 0]);
    assert_eq!(login.parameter("redirect_uri"), uri);
    // The port is taken now.
    terminal
        .run(["login", "--no-browser"])
        .assert_failure(1, "Check whether another `items login` is waiting");
    assert!(Browser::new(&stack).sign_in(&login.url, ALICE).contains("You are signed in"));
    login.finish().assert_code(0);
}

#[test]
fn new_sign_in_replaces_and_revokes_the_old_one() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let first = terminal.session()["refresh_token"].clone();
    terminal.login(BOB).assert_code(0);
    assert_eq!(stack.faults.revocations(), 1);
    assert_eq!(terminal.json(["whoami"])["username"], "bob");
    assert_ne!(terminal.session()["refresh_token"], first);
}

#[test]
fn reauthenticate_asks_for_the_password_again() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login(["--reauthenticate"]);
    assert_eq!(login.parameter("prompt"), "login");
    let browser = Browser::new(&stack);
    browser.sign_in(&login.url, ALICE);
    login.finish().assert_code(0);
    let again = terminal.begin_login([] as [&str; 0]);
    assert!(browser.get(&again.url).contains("You are signed in"), "the browser has a session");
    again.finish().assert_code(0);
    let asked = terminal.begin_login(["--reauthenticate"]);
    assert!(browser.sign_in(&asked.url, BOB).contains("You are signed in"));
    asked.finish().assert_code(0);
    assert_eq!(terminal.json(["whoami"])["username"], "bob");
}

#[test]
fn unreachable_pool_is_reported() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack).with("ITEMS_DOMAIN", "http://localhost:1");
    let login = terminal.begin_login([] as [&str; 0]);
    let (callback, state) = (login.parameter("redirect_uri"), login.parameter("state"));
    let _ = Browser::new(&stack).get(&format!("{callback}?code=c&state={state}"));
    let run: Run = login.finish();
    run.assert_failure(6, "cannot reach the user pool at http://localhost:1");
}
