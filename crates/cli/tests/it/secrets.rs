//! No token is ever shown, but by `items token`.

use std::cell::RefCell;

use crate::{
    stack::{ALICE, Stack},
    terminal::{Browser, Run, Terminal},
};

#[test]
fn no_output_has_a_token_in_it() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE).with("RUST_LOG", "trace");
    let mut secrets = tokens(&terminal);
    let file = terminal.write("a.txt", "content");
    let id = terminal.add("x");
    let said = RefCell::new(String::new());
    let run = |arguments: &[&str]| note(&said, &terminal.run(arguments.iter().chain(&["--verbose"])));
    run(&["list", "--json"]);
    run(&["attach", &id, file.to_str().unwrap()]);
    run(&["download", &id, "--output", "b.txt"]);
    run(&["show", &id]);
    run(&["whoami"]);
    terminal.expire_access_token();
    run(&["whoami"]);
    secrets.extend(tokens(&terminal));
    terminal.expire_access_token();
    terminal.change_session(|session| session["refresh_token"] = "a-wrong-refresh-token".into());
    run(&["list"]);
    let login = terminal.begin_login(["--verbose"]);
    Browser::new(&stack).sign_in(&login.url, ALICE);
    note(&said, &login.finish());
    secrets.extend(tokens(&terminal));
    run(&["logout"]);
    let said = said.into_inner();
    assert!(said.contains("PUT http://localhost") && said.contains("/attachments/"), "{said}");
    assert!(said.contains("POST http://localhost") && said.contains("/oauth2/token: 200 OK in"), "{said}");
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} is in {said}");
    }
    assert!(
        !said.contains("a-wrong-refresh-token")
            && !said.contains("X-Amz-Signature")
            && !said.contains("limit="),
        "{said}"
    );
}

fn note(said: &RefCell<String>, run: &Run) {
    said.borrow_mut().push_str(&format!("{}{}", run.stdout, run.stderr));
}

/// All tokens of the session; of JWTs the signature, which is a secret by itself.
fn tokens(terminal: &Terminal<'_>) -> Vec<String> {
    let session = terminal.session();
    ["access_token", "refresh_token", "id_token"]
        .map(|name| session[name].as_str().unwrap().rsplit('.').next().unwrap().to_owned())
        .into()
}
