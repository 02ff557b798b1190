//! Failures of the API and of the connection to it.

use crate::{
    proxy::{Cut, Proxy},
    stack::{ALICE, Stack},
    terminal::Terminal,
};

#[test]
fn unreachable_api_is_reported_and_the_sign_in_is_kept() {
    let mut stack = Stack::start();
    let url = stack.api_url.clone();
    let folder = {
        let terminal = Terminal::signed_in(&stack, ALICE);
        terminal.add("before");
        let state = tempfile::tempdir().unwrap();
        std::fs::copy(terminal.session_file(), state.path().join("local.json")).unwrap();
        state
    };
    stack.stop_api();
    let restore = |terminal: &Terminal<'_>| {
        std::fs::create_dir_all(terminal.session_file().parent().unwrap()).unwrap();
        std::fs::copy(folder.path().join("local.json"), terminal.session_file()).unwrap();
    };
    {
        let terminal = Terminal::new(&stack);
        restore(&terminal);
        for command in [&["list"][..], &["add", "x"], &["whoami"], &["profile"]] {
            let run = terminal.run(command);
            run.assert_failure(6, &format!("cannot reach the API at {url}: "));
            assert!(run.stderr.contains("refused"), "{run:?}");
        }
        // Printing the token does not need the API.
        terminal.ok(["token"]);
    }
    stack.restart_api();
    let terminal = Terminal::new(&stack);
    restore(&terminal);
    assert_eq!(terminal.json(["list"])[0]["title"], "before");
}

#[test]
fn response_of_another_server_is_reported_by_its_status() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE).with("ITEMS_API_URL", &stack.pool_url);
    terminal.run(["list"]).assert_failure(4, "the server responded with 404 Not Found");
    let terminal =
        terminal.with("ITEMS_API_URL", &format!("{}/us-east-1_LocalPool/.well-known", stack.pool_url));
    terminal.run(["list"]).assert_code(4);
}

#[test]
fn proxy_is_not_used_for_this_machine() {
    let stack = Stack::start();
    let nowhere = "http://127.0.0.1:1";
    let terminal = Terminal::new(&stack)
        .with("HTTP_PROXY", nowhere)
        .with("http_proxy", nowhere)
        .with("ALL_PROXY", nowhere);
    terminal.login(ALICE).assert_code(0);
    let id = terminal.add("x");
    let file = terminal.write("a.txt", "x");
    terminal.ok(["attach", &id, file.to_str().unwrap()]);
    terminal.ok(["download", &id, "-o", "b.txt"]);
    terminal.ok(["whoami"]);
    terminal.ok(["logout"]);
}

#[test]
fn item_is_created_once_when_responses_are_lost() {
    let stack = Stack::start();
    let proxy = stack.runtime.block_on(Proxy::start(&stack.api_url, "POST /items "));
    let terminal = Terminal::signed_in(&stack, ALICE).with("ITEMS_API_URL", &proxy.url);
    proxy.cut([Cut::Download(1); 2]);
    let id = terminal.add("once");
    assert_eq!(proxy.cuts_made(), 2);
    let items = terminal.json(["list"]);
    assert_eq!((items.as_array().unwrap().len(), &items[0]["id"]), (1, &id.into()));
}

#[test]
fn change_with_a_lost_response_is_reported_and_not_repeated() {
    let stack = Stack::start();
    let proxy = stack.runtime.block_on(Proxy::start(&stack.api_url, "DELETE /items/"));
    let terminal = Terminal::signed_in(&stack, ALICE).with("ITEMS_API_URL", &proxy.url);
    let id = terminal.add("before");
    proxy.cut([Cut::Download(1)]);
    let run = terminal.run(["rm", &id, "--if-version", "1"]);
    run.assert_failure(6, "it is not known whether the change was made");
    assert_eq!(proxy.cuts_made(), 1);
    terminal.run(["show", &id]).assert_code(4);
}
