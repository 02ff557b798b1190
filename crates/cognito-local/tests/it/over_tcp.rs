//! A pool that is served on sockets and kept in a file.

use std::path::Path;

use cognito_local::{LocalPool, OpenError, PoolConfig, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::{ALICE, CALLBACK, VERIFIER, authorize_query, between, query_of};

struct Served {
    origin: String,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// A port that stays free while nothing listens there: below those that the system gives to outgoing connections.
async fn lasting_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    for port in first..32_000 {
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
    panic!("no port from {first} on is free");
}

async fn serve_pool(path: Option<&Path>, port: u16) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let pool = LocalPool::open(path, origin.parse().unwrap(), PoolConfig::demo(8000)).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(pool, vec![listener], async move { drop(stopped.await) }));
    Served { origin, stop, task }
}

pub(crate) fn http() -> reqwest::Client {
    let policy = reqwest::redirect::Policy::none();
    reqwest::Client::builder().cookie_store(true).redirect(policy).build().unwrap()
}

/// Signs alice in by the form of the page, and returns where that leads.
pub(crate) async fn sign_in_at(http: &reqwest::Client, origin: &str, query: &str) -> String {
    let login = format!("{origin}/login?{query}");
    let page = http.get(&login).send().await.unwrap().text().await.unwrap();
    let csrf_token = between(&page, "name=\"csrf_token\" value=\"", "\"").unwrap();
    let form = [("csrf_token", csrf_token), ("username", ALICE.0), ("password", ALICE.1)];
    let answer = http.post(&login).header("origin", origin).form(&form).send().await.unwrap();
    answer.headers()["location"].to_str().unwrap().to_owned()
}

pub(crate) async fn sign_in(http: &reqwest::Client, origin: &str) -> serde_json::Value {
    let callback = sign_in_at(http, origin, &authorize_query(&[])).await;
    let code = query_of(&callback).remove("code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "localweb"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let answer = http.post(format!("{origin}/oauth2/token")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn users_keys_sessions_and_secrets_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool/pool.sqlite3");
    let port = lasting_port().await;
    let served = serve_pool(Some(&file), port).await;
    let http = http();
    let tokens = sign_in(&http, &served.origin).await;
    let jwks = format!("{}/us-east-1_LocalPool/.well-known/jwks.json", served.origin);
    let keys = http.get(&jwks).send().await.unwrap().text().await.unwrap();
    served.stop.send(()).unwrap();
    served.task.await.unwrap().unwrap();

    let served = serve_pool(Some(&file), port).await;
    assert_eq!(http.get(&jwks).send().await.unwrap().text().await.unwrap(), keys);
    let authorize = format!("{}/oauth2/authorize?{}", served.origin, authorize_query(&[]));
    let remembered = http.get(authorize).send().await.unwrap();
    assert!(query_of(remembered.headers()["location"].to_str().unwrap()).contains_key("code"));
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("client_id", "localweb"), ("refresh_token", refresh_token)];
    let refreshed = http.post(format!("{}/oauth2/token", served.origin)).form(&form).send().await.unwrap();
    assert_eq!(refreshed.status(), 200);
}

#[tokio::test]
async fn generated_secret_is_kept_and_callback_urls_follow_the_configuration() {
    use secrecy::ExposeSecret as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.sqlite3");
    let open = async |api_port| {
        let url = "http://localhost:9229".parse().unwrap();
        LocalPool::open(Some(&file), url, PoolConfig::demo(api_port)).await.unwrap()
    };
    let secret =
        |pool: &LocalPool| pool.client("localmachine").unwrap().secret.unwrap().expose_secret().to_owned();
    let first = open(8000).await;
    let second = open(8001).await;
    assert_eq!(secret(&first), secret(&second));
    let callback = "http://localhost:8001/docs/oauth2-redirect.html";
    for (pool, status) in [(first, 400), (second, 200)] {
        let request =
            axum::http::Request::get(format!("/login?{}", authorize_query(&[("redirect_uri", callback)])))
                .header("host", "localhost:9229")
                .body(axum::body::Body::empty())
                .unwrap();
        assert_eq!(crate::support::send(&pool, request).await.status, status);
    }
}

#[tokio::test]
async fn file_contains_neither_passwords_nor_bearer_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.sqlite3");
    let served = serve_pool(Some(&file), 0).await;
    let http = http();
    let callback = sign_in_at(&http, &served.origin, &authorize_query(&[])).await;
    let code = query_of(&callback).remove("code").unwrap();
    let tokens = sign_in(&http, &served.origin).await;
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        kept.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |secret: &str| kept.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert!(holds("alice") && holds("$argon2id$"), "the files are those of the pool");
    for secret in [ALICE.1, &code, tokens["refresh_token"].as_str().unwrap()] {
        assert!(!holds(secret), "{secret}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.sqlite3");
    let url = "http://localhost:9229".parse().unwrap();
    let _pool = LocalPool::open(Some(&file), url, PoolConfig::demo(8000)).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn pool_is_served_on_loopback_addresses_only() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let pool = LocalPool::open(None, "http://localhost:9229".parse().unwrap(), PoolConfig::demo(8000))
        .await
        .unwrap();
    let error = serve(pool, vec![listener], std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("loopback"), "{error}");
}

#[tokio::test]
async fn pool_is_not_opened_with_another_host_or_pool_id() {
    for url in
        ["https://example.com", "http://10.0.0.1:9229", "http://localhost:9229/path", "ftp://localhost"]
    {
        let opened = LocalPool::open(None, url.parse().unwrap(), PoolConfig::demo(8000)).await;
        assert!(matches!(opened, Err(OpenError::PublicUrl(_))), "{url}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.sqlite3");
    let url: url::Url = "http://localhost:9229".parse().unwrap();
    drop(LocalPool::open(Some(&file), url.clone(), PoolConfig::default()).await.unwrap());
    let other = PoolConfig { pool_id: "eu-west-1_Other".into(), ..PoolConfig::default() };
    let error = LocalPool::open(Some(&file), url, other).await.err().unwrap();
    assert!(matches!(error, OpenError::OtherPool { .. }), "{error}");
}
