//! A pool, an application that signs in at it, and Chromium.

use std::path::PathBuf;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use cognito_local::{Clock, LocalPool, PoolConfig, serve};
use serde_json::Value;
use test_browser::fantoccini::Locator;
pub(crate) use test_browser::{Look, WAIT};
use tokio::net::TcpListener;

pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A file of the npm packages beside this test.
pub(crate) fn npm_file(path: &str) -> String {
    test_file("openid-client/node_modules", path, "run `npm ci` in tests/openid-client")
}

fn test_file(folder: &str, path: &str, advice: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}: {advice}", file.display()))
}

/// A pool that is served, and an application whose callback URL is served too.
pub(crate) struct Site {
    pub(crate) clock: Clock,
    pub(crate) origin: String,
    pub(crate) application: String,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with("127.0.0.1:0", |_| ()).await
    }

    /// The application listens at `address`.
    pub(crate) async fn with(address: &str, change: impl FnOnce(&mut PoolConfig)) -> Self {
        let (listener, origin) = listen("127.0.0.1:0").await;
        let (application_listener, application) = listen(address).await;
        let mut config = PoolConfig::demo(8000);
        change(&mut config);
        let clock = Clock::system();
        let pool =
            LocalPool::open_with_clock(None, origin.parse().unwrap(), config, clock.clone()).await.unwrap();
        tokio::spawn(serve(pool, vec![listener], std::future::pending()));
        tokio::spawn(axum::serve(application_listener, application_router(&origin)).into_future());
        Self { clock, origin, application }
    }

    /// A page of a sign-in for the application.
    pub(crate) fn page(&self, path: &str) -> String {
        self.page_with(path, &[])
    }

    pub(crate) fn page_with(&self, path: &str, more: &[(&str, &str)]) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", "localweb"),
                ("redirect_uri", &format!("{}/callback", self.application)),
                ("scope", "openid email"),
                ("state", "the-state"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ])
            .extend_pairs(more)
            .finish();
        format!("{}{path}?{query}", self.origin)
    }

    /// Exchanges the code in the address that a browser ended at.
    pub(crate) async fn redeem(&self, callback: &url::Url) -> Value {
        let code = callback.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "localweb"),
            ("redirect_uri", &format!("{}/callback", self.application)),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let answer =
            reqwest::Client::new().post(format!("{}/oauth2/token", self.origin)).form(&form).send().await;
        answer.unwrap().json().await.unwrap()
    }
}

async fn listen(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(address).await.unwrap();
    let bound = listener.local_addr().unwrap();
    let host = if bound.is_ipv6() { "[::1]" } else { "localhost" };
    (listener, format!("http://{host}:{}", bound.port()))
}

fn application_router(pool_origin: &str) -> Router {
    let page = super::oidc_client_ts::page(pool_origin);
    let amplify = super::amplify::page(pool_origin);
    Router::new()
        .route(
            "/callback",
            get(|| async { Html("<!doctype html><title>Application</title><h1>Signed in</h1>") }),
        )
        .route("/", get(|| async { Html(page) }))
        .route(
            "/oidc-client-ts.js",
            get(|| async {
                let script = npm_file("oidc-client-ts/dist/browser/oidc-client-ts.min.js");
                ([(CONTENT_TYPE, "text/javascript")], script)
            }),
        )
        .route("/amplify", get(|| async { Html(amplify) }))
        .route(
            "/amplify.js",
            get(|| async {
                let advice = "run `npm ci && npm run bundle` in tests/aws-clients";
                let script = test_file("aws-clients/node_modules", ".cache/amplify.js", advice);
                ([(CONTENT_TYPE, "text/javascript")], script)
            }),
        )
}

/// Chromium, and what a user does with it.
pub(crate) struct Browser {
    pub(crate) client: test_browser::Browser,
}

impl Browser {
    pub(crate) async fn open(look: Look) -> Self {
        Self { client: test_browser::Browser::open(look).await }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(crate) async fn type_in(&self, field: &str, text: &str) {
        let element = self.client.find(Locator::Id(field)).await.unwrap();
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// Sends the form with this button, and waits for the page that follows, which may look the same.
    pub(crate) async fn press(&self, label: &str) {
        let path = format!("//button[normalize-space()='{label}']");
        let button = self.client.find(Locator::XPath(&path)).await.unwrap();
        self.client.execute("document.documentElement.dataset.left = 'behind';", vec![]).await.unwrap();
        button.click().await.unwrap();
        let next_page = Locator::Css("html:not([data-left])");
        self.client.wait().at_most(WAIT).for_element(next_page).await.unwrap();
    }

    pub(crate) async fn click_link(&self, text: &str) {
        self.client.find(Locator::LinkText(text)).await.unwrap().click().await.unwrap();
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        self.client.element(selector).await.text().await.unwrap()
    }

    /// Waits until the heading of the page is this one.
    pub(crate) async fn wait_for_heading(&self, heading: &str) {
        let path = format!("//h1[normalize-space()='{heading}']");
        if let Err(error) = self.client.wait().at_most(WAIT).for_element(Locator::XPath(&path)).await {
            let (url, page) = (self.client.current_url().await.unwrap(), self.text("body").await);
            panic!("no heading {heading:?} ({error}) at {url}:\n{page}");
        }
    }

    pub(crate) async fn sign_in(&self, username: &str, password: &str) {
        self.type_in("username", username).await;
        self.type_in("password", password).await;
        self.press("Sign in").await;
    }

    pub(crate) async fn close(self) {
        self.client.quit().await;
    }
}
