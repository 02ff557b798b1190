//! Variables, `.env`, pool files and `--reset`.

use std::{fs, process::Command};

use reqwest::{Client, Method, StatusCode, header};
use serde_json::Value;

use crate::support::{Stack, free_ports};

async fn allowed_origin(stack: &Stack, origin: &str) -> Option<String> {
    let preflight =
        Client::new().request(Method::OPTIONS, stack.api("/items")).header(header::ORIGIN, origin);
    let answer = preflight.header("access-control-request-method", "POST").send().await.unwrap();
    let allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    allowed.map(|origin| origin.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn pages_of_this_machine_may_call_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost:5173"] {
        assert_eq!(allowed_origin(&stack, origin).await.as_deref(), Some(origin));
    }
    for origin in
        ["https://evil.example", "http://localhost.evil.example", "http://localhost:80.evil.example"]
    {
        assert_eq!(allowed_origin(&stack, origin).await, None, "{origin}");
    }
}

#[tokio::test]
async fn environment_wins_over_env_file_and_both_over_local_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = "CORS_ALLOWED_ORIGINS=https://file.example\nPUBLIC_URL=https://file.example\n\
        DYNAMODB_TABLE_NAME=things\nS3_BUCKET_NAME=boxes\nAWS_REGION=eu-west-1\nLOG_HASH_KEY=\n";
    fs::write(folder.path().join(".env"), file).unwrap();
    let variables = [("PUBLIC_URL", "https://environment.example")];
    let stack = Stack::start_with(folder.path(), free_ports(), &[], &variables);
    let page = "https://file.example";
    assert_eq!(allowed_origin(&stack, page).await.as_deref(), Some(page));
    assert_eq!(allowed_origin(&stack, "http://localhost:5173").await, None);
    let metadata =
        Client::new().get(stack.api("/.well-known/oauth-protected-resource")).send().await.unwrap();
    let metadata: Value = serde_json::from_str(&metadata.text().await.unwrap()).unwrap();
    assert_eq!(metadata["resource"], "https://environment.example");
    let ready = Client::new().get(stack.api("/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK, "the table has the configured name");
    assert!(folder.path().join("s3/boxes").is_dir());
}

#[test]
fn mistakes_in_env_file_and_variables_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
        command.args(["--ephemeral", "--api-port=0", "--cognito-port=0", "--dynamodb-port=0", "--s3-port=0"]);
        command.current_dir(folder.path()).env_clear().envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&[("RATE_LIMIT_PER_MINUTE", "many")]).contains("RATE_LIMIT_PER_MINUTE must be"));
    assert!(run(&[("METRICS_ADDRESS", "nowhere")]).contains("METRICS_ADDRESS"));
    fs::write(folder.path().join(".env"), "secret without a name\n").unwrap();
    let error = run(&[]);
    assert!(error.contains(".env") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn pool_file_decides_who_signs_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.toml");
    let pool = "pool_id = \"eu-west-1_Mine\"\n[[clients]]\nid = \"shop\"\n\
        callback_urls = [\"http://localhost:5173/callback\"]\n\
        [[users]]\nusername = \"carol\"\npassword = \"Correct-horse-9\"\n";
    fs::write(&file, pool).unwrap();
    let arguments = ["--pool", file.to_str().unwrap()];
    let stack = Stack::start_with(folder.path(), free_ports(), &arguments, &[]);
    assert_eq!(stack.password("carol"), "Correct-horse-9");
    let query = "response_type=code&client_id=shop&redirect_uri=http://localhost:5173/callback&\
        code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let page = Client::new().get(stack.cognito(&format!("/login?{query}"))).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("shop"));
}

#[test]
fn reset_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = || fs::read_to_string(folder.path().join("aws-credentials")).unwrap();
    drop(Stack::start(folder.path(), free_ports()));
    let first = credentials();
    drop(Stack::start(folder.path(), free_ports()));
    assert_eq!(credentials(), first);
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    drop(Stack::start_with(folder.path(), free_ports(), &["--reset"], &[]));
    assert_ne!(credentials(), first);
    assert!(folder.path().join("notes.txt").exists());
}
