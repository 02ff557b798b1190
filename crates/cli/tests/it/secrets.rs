//! Only `items token` prints a token.

use std::cell::RefCell;

use crate::{
    stack::{ALICE, Stack},
    terminal::{Browser, Run, Terminal},
};

#[test]
fn no_output_contains_a_token() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE).with("RUST_LOG", "trace");
    let mut secrets = tokens(&terminal);
    let file = terminal.write("a.txt", "content");
    let id = terminal.add("x");
    let output = RefCell::new(String::new());
    let run = |arguments: &[&str]| note(&output, &terminal.run(arguments.iter().chain(&["--verbose"])));
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
    note(&output, &login.finish());
    secrets.extend(tokens(&terminal));
    run(&["logout"]);
    let output = output.into_inner();
    assert!(output.contains("PUT http://localhost") && output.contains("/attachments/"), "{output}");
    assert!(
        output.contains("POST http://localhost") && output.contains("/oauth2/token: 200 OK in"),
        "{output}"
    );
    for secret in secrets {
        assert!(!output.contains(&secret), "{secret} is in {output}");
    }
    assert!(
        !output.contains("a-wrong-refresh-token")
            && !output.contains("X-Amz-Signature")
            && !output.contains("limit="),
        "{output}"
    );
}

fn note(output: &RefCell<String>, run: &Run) {
    output.borrow_mut().push_str(&format!("{}{}", run.stdout, run.stderr));
}

/// Returns all tokens of the session; of a JWT only the signature, which is secret by itself.
fn tokens(terminal: &Terminal<'_>) -> Vec<String> {
    let session = terminal.session();
    ["access_token", "refresh_token", "id_token"]
        .map(|name| session[name].as_str().unwrap().rsplit('.').next().unwrap().to_owned())
        .into()
}
