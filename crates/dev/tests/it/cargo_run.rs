//! The whole way, as a newcomer goes it: `dev` as a process, sign-in on the hosted UI, tokens, items, `kill -9`, and on.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use crate::{
    browser::{CHALLENGE, VERIFIER, browser, form, location},
    support::{Stack, free_ports},
};

const REDIRECT_URI: &str = "http://localhost/callback";
/// Signs in on the hosted UI, as a browser would, and exchanges the code.
async fn sign_in(stack: &Stack, name: &str, password: &str) -> Value {
    let browser = browser();
    let query = [
        ("response_type", "code"),
        ("client_id", "localweb"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid items/read items/write"),
        ("state", "a-state"),
        ("nonce", "a-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let authorize = browser.get(stack.cognito("/oauth2/authorize")).query(&query).send().await.unwrap();
    assert_eq!(authorize.status(), StatusCode::FOUND);
    let login = Url::parse(&stack.cognito("")).unwrap().join(location(&authorize)).unwrap();
    let page = browser.get(login.clone()).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let (action, mut fields) = form(&page.text().await.unwrap(), "password");
    fields.retain(|(field, _)| field != "username" && field != "password");
    fields.extend([("username".into(), name.into()), ("password".into(), password.into())]);
    let answer = browser.post(login.join(&action).unwrap()).form(&fields).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND, "{}", answer.text().await.unwrap());
    let callback = Url::parse(location(&answer)).unwrap();
    assert!(callback.as_str().starts_with(REDIRECT_URI));
    let parameter = |name: &str| callback.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!(parameter("state"), "a-state");
    let exchange = [
        ("grant_type", "authorization_code"),
        ("client_id", "localweb"),
        ("redirect_uri", REDIRECT_URI),
        ("code", &parameter("code")),
        ("code_verifier", VERIFIER),
    ];
    let tokens = browser.post(stack.cognito("/oauth2/token")).form(&exchange).send().await.unwrap();
    assert_eq!(tokens.status(), StatusCode::OK);
    tokens.json().await.unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn new_user_signs_in_and_items_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let mut stack = Stack::start(folder.path(), ports);
    let tokens = sign_in(&stack, "alice", &stack.password("alice")).await;
    let access_token = tokens["access_token"].as_str().unwrap();
    let issuer = stack.cognito("/us-east-1_LocalPool");
    assert_eq!(claims(access_token)["iss"], issuer);
    assert_eq!(claims(access_token)["scope"], "openid items/read items/write");
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "a-nonce");
    assert!(tokens["refresh_token"].is_string());

    let client = Client::new();
    let me: Value = client
        .get(stack.api("/users/me"))
        .bearer_auth(access_token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!((&me["username"], &me["groups"]), (&json!("alice"), &json!(["admins"])));
    for n in 0..20 {
        let body = json!({"title": format!("item {n}")});
        let created =
            client.post(stack.api("/items")).bearer_auth(access_token).json(&body).send().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        if n == 19 {
            stack.signal("-KILL"); // Right after the answer.
        }
    }
    stack.process.wait().unwrap();

    let stack = Stack::start(folder.path(), ports);
    let client = Client::new();
    let page = client.get(stack.api("/items?limit=100")).bearer_auth(access_token).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK, "a token from before is accepted");
    let page: Value = page.json().await.unwrap();
    let titles: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["title"].clone()).collect();
    assert_eq!(titles, (0..20).rev().map(|n| json!(format!("item {n}"))).collect::<Vec<_>>());

    let bob = sign_in(&stack, "bob", &stack.password("bob")).await;
    let page = client
        .get(stack.api("/items"))
        .bearer_auth(bob["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(page.json::<Value>().await.unwrap()["items"], json!([]));
}

#[tokio::test]
async fn ctrl_c_stops_everything_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::start(folder.path(), free_ports());
    // A client that keeps its connection open must not hold it up.
    let client = Client::new();
    assert_eq!(client.get(stack.api("/health/ready")).send().await.unwrap().status(), StatusCode::OK);
    let started = Instant::now();
    stack.signal("-INT");
    let status = stack.process.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn busy_port_error_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let busy = busy.local_addr().unwrap().port().to_string();
    for flag in ["--api-port", "--cognito-port", "--dynamodb-port", "--s3-port"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
        command.arg("--data-dir").arg(folder.path());
        for other in ["--api-port", "--cognito-port", "--dynamodb-port", "--s3-port"] {
            command.args([other, if other == flag { &busy } else { "0" }]);
        }
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(flag) && error.contains(&busy), "{error}");
    }
}
