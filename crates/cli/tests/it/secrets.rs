//! No token is ever shown, but by `items token`.

use crate::{
    stack::{ALICE, Stack},
    terminal::Terminal,
};

#[test]
fn no_output_has_a_token_in_it() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE).with("RUST_LOG", "trace");
    let mut secrets = tokens(&terminal);
    let file = terminal.write("a.txt", "content");
    let id = terminal.add("x");
    let mut said = String::new();
    let mut run = |arguments: &[&str]| {
        let run = terminal.run(arguments.iter().chain(&["--verbose"]));
        said.push_str(&run.stdout);
        said.push_str(&run.stderr);
    };
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
    crate::terminal::Browser::new(&stack).sign_in(&login.url, ALICE);
    let login = login.finish();
    said.push_str(&login.stdout);
    said.push_str(&login.stderr);
    secrets.extend(tokens(&terminal));
    run(&["logout"]);
    assert!(said.contains("POST http://localhost") && said.contains("/oauth2/token: 200 OK in"), "{said}");
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} is in {said}");
    }
    assert!(!said.contains("a-wrong-refresh-token") && !said.contains("X-Amz-Signature"), "{said}");
}

/// All tokens of the session; of JWTs the signature, which is a secret by itself.
fn tokens(terminal: &Terminal<'_>) -> Vec<String> {
    let session = terminal.session();
    ["access_token", "refresh_token", "id_token"]
        .map(|name| session[name].as_str().unwrap().rsplit('.').next().unwrap().to_owned())
        .into()
}
