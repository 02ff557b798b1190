//! Access tokens for machine clients.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cognito_auth::client::{TokenError, TokenSource};
use cognito_auth::testing::TestClock;
use cognito_auth::{Authenticated, PoolError, scope};
use http::header::AUTHORIZATION;
use secrecy::ExposeSecret as _;

use crate::local_pool::RunningPool;

scope!(ItemsRead = "items/read");

/// A token endpoint that accepts one secret and numbers its tokens, each valid for an hour by default.
#[derive(Clone, Default)]
struct Endpoint {
    secret: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
    forms: Arc<Mutex<Vec<String>>>,
    is_down: Arc<Mutex<bool>>,
    lifetime_seconds: Arc<AtomicU32>,
}

impl Endpoint {
    async fn start(secret: &str) -> (Self, String) {
        let endpoint = Self { secret: Arc::new(Mutex::new(secret.to_owned())), ..Self::default() };
        endpoint.lifetime_seconds.store(3600, Ordering::SeqCst);
        let respond = {
            let endpoint = endpoint.clone();
            async move |headers: HeaderMap, form: String| endpoint.respond(&headers, form)
        };
        let app = Router::new().route("/oauth2/token", post(respond));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/oauth2/token", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        (endpoint, url)
    }

    fn respond(&self, headers: &HeaderMap, form: String) -> (StatusCode, String) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        self.forms.lock().unwrap().push(form);
        if *self.is_down.lock().unwrap() {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        let expected = format!("client:{}", self.secret.lock().unwrap());
        if headers[AUTHORIZATION] != format!("Basic {}", BASE64_STANDARD.encode(expected)) {
            return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_client"}"#.to_owned());
        }
        let lifetime = self.lifetime_seconds.load(Ordering::SeqCst);
        let body =
            format!(r#"{{"access_token":"token-{number}","expires_in":{lifetime},"token_type":"Bearer"}}"#);
        (StatusCode::OK, body)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn source(url: &str, clock: &TestClock) -> TokenSource {
    let builder = TokenSource::builder(url, "client").unwrap();
    builder.secret("secret").scopes(["items/read", "items/write"]).clock(clock.clone()).build()
}

async fn text(source: &TokenSource) -> String {
    source.token().await.unwrap().as_str().to_owned()
}

#[tokio::test]
async fn token_is_fetched_once_for_concurrent_calls() {
    let (endpoint, url) = Endpoint::start("secret").await;
    let source = source(&url, &TestClock::new());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { text(&source).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "token-1");
    }
    assert_eq!(endpoint.requests(), 1);
    let form = "grant_type=client_credentials&scope=items%2Fread+items%2Fwrite";
    assert_eq!(endpoint.forms.lock().unwrap()[0], form);
    let token = source.token().await.unwrap();
    assert!(token.header().is_sensitive());
    assert!(!format!("{token:?} {source:?}").contains("token-1"));
}

#[tokio::test]
async fn token_with_a_short_life_serves_all_calls_of_a_second() {
    let (endpoint, url) = Endpoint::start("secret").await;
    endpoint.lifetime_seconds.store(5, Ordering::SeqCst);
    let source = source(&url, &TestClock::new());
    for _ in 0..20 {
        assert_eq!(text(&source).await, "token-1");
    }
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn token_is_renewed_in_the_background_at_three_quarters_of_its_life() {
    let (endpoint, url) = Endpoint::start("secret").await;
    let clock = TestClock::new();
    let source = source(&url, &clock);
    assert_eq!(text(&source).await, "token-1");
    clock.advance(Duration::from_secs(2_519));
    assert_eq!((text(&source).await.as_str(), endpoint.requests()), ("token-1", 1));
    clock.advance(Duration::from_secs(362));
    assert_eq!(text(&source).await, "token-1", "the call does not wait");
    let renewed = async {
        while text(&source).await != "token-2" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed).await.unwrap();
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn old_token_is_used_until_it_expires_while_the_endpoint_is_down() {
    let (endpoint, url) = Endpoint::start("secret").await;
    let clock = TestClock::new();
    let source = source(&url, &clock);
    text(&source).await;
    *endpoint.is_down.lock().unwrap() = true;
    clock.advance(Duration::from_secs(3_594));
    assert_eq!(text(&source).await, "token-1");
    clock.advance(Duration::from_secs(2));
    for _ in 0..20 {
        let error = source.token().await.unwrap_err();
        assert!(matches!(error, TokenError::Rejected { status: 503, .. }), "{error}");
    }
    assert!(endpoint.requests() <= 3, "failures are returned for a second");
    *endpoint.is_down.lock().unwrap() = false;
    clock.advance(Duration::from_secs(1));
    assert!(text(&source).await.starts_with("token-"));
}

#[tokio::test]
async fn second_secret_is_tried_during_a_rotation() {
    let (endpoint, url) = Endpoint::start("new").await;
    let build = |secrets: &'static [&'static str]| {
        let builder = TokenSource::builder(&url, "client").unwrap();
        builder.secrets(|| secrets.iter().map(ToString::to_string).collect()).build()
    };
    assert_eq!(text(&build(&["old", "new"])).await, "token-2");
    let error = build(&["old"]).token().await.unwrap_err();
    assert_eq!(error.to_string(), "the token endpoint responded with status 400 and error invalid_client");
    assert!(matches!(build(&[]).token().await, Err(TokenError::NoSecret)));
    assert_eq!(endpoint.requests(), 3);
}

#[test]
fn token_url_must_use_https() {
    for url in ["http://example.com/oauth2/token", "https://id:secret@example.com/oauth2/token", "token"] {
        assert!(matches!(TokenSource::builder(url, "client"), Err(PoolError::Url { .. })), "{url}");
    }
}

#[tokio::test]
async fn token_from_a_local_pool_is_accepted_by_its_resource_server() {
    let pool = RunningPool::start().await;
    let url = format!("{}/oauth2/token", pool.origin);
    let builder = TokenSource::builder(&url, pool.client_id.as_str()).unwrap();
    let tokens = builder.secret(pool.secret.expose_secret()).scopes(["items/read"]).build();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, tokens.token().await.unwrap().header())]);
    let server = pool.resource_server();
    let token = server.authenticate(&headers).await.unwrap();
    assert!(server.authorize::<(ItemsRead, Authenticated)>(&token).is_ok());

    let builder = TokenSource::builder(&url, pool.client_id.as_str()).unwrap();
    let error = builder.secret("wrong").build().token().await.unwrap_err();
    assert!(matches!(error, TokenError::Rejected { error, .. } if error == "invalid_client"));
}
