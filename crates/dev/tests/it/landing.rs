//! The start page at `/`.

use std::process::Command;

use reqwest::{Client, StatusCode, header, redirect};

use crate::support::{Stack, free_ports};

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

#[tokio::test]
async fn browser_gets_the_start_page_with_a_command_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    let page = Client::new().get(stack.api("/")).header(header::ACCEPT, BROWSER).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let html = page.text().await.unwrap();
    for text in ["/docs/", "/mailbox", "alice", &stack.password("alice"), &stack.cognito("")] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("<script") && !html.contains("style=\""));
    for file in ["/assets/style.css", "/assets/landing.css", "/assets/icon.svg"] {
        assert_eq!(Client::new().get(stack.api(file)).send().await.unwrap().status(), StatusCode::OK);
    }
    let command = html.split("<pre").nth(1).unwrap().split("<code>").nth(1).unwrap();
    let command = command.split("</code>").next().unwrap();
    let command = command.replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&");
    let command = command.replace("\ncurl ", "\ncurl -s -o /dev/null -w '%{http_code}' ");
    let output = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &command]).output());
    let output = output.await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200", "{output:?}");
}

#[tokio::test]
async fn passwords_are_not_shown_under_foreign_names_or_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let requests = [
        client.get(stack.api("/")).header(header::ACCEPT, BROWSER).header(header::HOST, "evil.example"),
        client.get(stack.api("/")).header(header::ACCEPT, "application/json"),
    ];
    for request in requests {
        let answer = request.send().await.unwrap();
        assert_ne!(answer.status(), StatusCode::OK);
        assert!(!answer.text().await.unwrap().contains(&stack.password("alice")));
    }
}
