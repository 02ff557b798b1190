//! A pool, and a browser to visit it with.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN,
};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cognito_local::{Clock, LocalPool, PoolConfig};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const ORIGIN_URL: &str = "http://localhost:9229";
pub(crate) const CALLBACK: &str = "http://localhost:8000/docs/oauth2-redirect.html";
pub(crate) const ALICE: (&str, &str) = ("alice", "Wonder-land1");

/// The verifier and challenge of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct TestPool {
    pub(crate) pool: LocalPool,
    pub(crate) clock: Clock,
}

impl TestPool {
    pub(crate) async fn open() -> Self {
        Self::with(|_| ()).await
    }

    /// The demo pool, changed.
    pub(crate) async fn with(change: impl FnOnce(&mut PoolConfig)) -> Self {
        let mut config = PoolConfig::demo(8000);
        change(&mut config);
        let clock = Clock::system();
        let url = ORIGIN_URL.parse().unwrap();
        let pool = LocalPool::open_with_clock(None, url, config, clock.clone()).await.unwrap();
        Self { pool, clock }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { pool: self.pool.clone(), cookies: Mutex::default() }
    }

    /// Posts to an endpoint as an application does, without cookies.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_with(path, form, HeaderMap::new()).await
    }

    pub(crate) async fn post_with(&self, path: &str, form: &[(&str, &str)], headers: HeaderMap) -> Answer {
        let mut request = form_request(path, form);
        request.headers_mut().extend(headers);
        send(&self.pool, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(&self.pool, request(Method::GET, path, Body::empty())).await
    }

    /// Signs in and exchanges the code.
    pub(crate) async fn tokens(&self, user: (&str, &str), changes: &[(&str, &str)]) -> Answer {
        let code = self.browser().code(user, changes).await;
        self.redeem(&code).await
    }

    pub(crate) async fn redeem(&self, code: &str) -> Answer {
        self.post("/oauth2/token", &exchange(code)).await
    }

    /// The code in the newest mail.
    pub(crate) async fn mailed_code(&self) -> String {
        let mailbox = self.get("/mailbox").await;
        between(&mailbox.text, "class=\"key\">", "<").expect("a mail").to_owned()
    }

    pub(crate) async fn user_info(&self, access_token: &str) -> Answer {
        let request = Request::get("/oauth2/userInfo")
            .header(HOST, "localhost:9229")
            .header("authorization", format!("Bearer {access_token}"));
        send(&self.pool, request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        let form =
            [("grant_type", "refresh_token"), ("client_id", "localweb"), ("refresh_token", refresh_token)];
        self.post("/oauth2/token", &form).await
    }
}

pub(crate) fn exchange(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "localweb"),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ]
}

/// A good authorization request of `localweb`, with some parameters changed; an empty value removes one.
pub(crate) fn authorize_query(changes: &[(&str, &str)]) -> String {
    let mut parameters = BTreeMap::from([
        ("response_type", "code"),
        ("client_id", "localweb"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid email items/read"),
        ("state", "the-state"),
        ("nonce", "the-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    parameters.extend(changes.iter().copied());
    parameters.retain(|_, value| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

pub(crate) fn query_of(location: &str) -> BTreeMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

/// A browser: it keeps cookies, and sends the origin with forms.
pub(crate) struct Browser {
    pool: LocalPool,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, Body::empty())).await
    }

    /// Posts a form as it is, without the CSRF token of a page.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_from(ORIGIN_URL, path, form).await
    }

    async fn post_from(&self, origin: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = form_request(path, form);
        request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        self.send(request).await
    }

    /// Fills in the form of a page, with all its hidden fields.
    pub(crate) async fn submit(&self, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        self.submit_from(ORIGIN_URL, page, fields).await
    }

    /// Sends the form as a page of another origin in the same browser would.
    pub(crate) async fn submit_from(&self, origin: &str, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let hidden = page.hidden_fields();
        let mut form: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        form.extend_from_slice(fields);
        self.post_from(origin, &page.form_action(), &form).await
    }

    pub(crate) async fn sign_in(
        &self,
        (username, password): (&str, &str),
        changes: &[(&str, &str)],
    ) -> Answer {
        let page = self.get(&format!("/login?{}", authorize_query(changes))).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        self.submit(&page, &[("username", username), ("password", password)]).await
    }

    /// Opens the page that an answer redirects to, which must be one of the pool.
    pub(crate) async fn follow(&self, answer: &Answer) -> Answer {
        let location = answer.location();
        assert!(location.starts_with('/'), "{location}");
        self.get(&location).await
    }

    /// Opens one of the pages of a sign-in.
    pub(crate) async fn open(&self, path: &str) -> Answer {
        self.get(&format!("{path}?{}", authorize_query(&[]))).await
    }

    /// Another code for the account that the browser remembers.
    pub(crate) async fn code_again(&self) -> String {
        self.open("/oauth2/authorize").await.redirect_parameter("code")
    }

    pub(crate) async fn code(&self, user: (&str, &str), changes: &[(&str, &str)]) -> String {
        let answer = self.sign_in(user, changes).await;
        answer.redirect_parameter("code")
    }

    async fn send(&self, mut request: Request<Body>) -> Answer {
        let cookies = self.cookies.lock().unwrap().clone();
        let header = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ");
        if !header.is_empty() {
            request.headers_mut().insert(COOKIE, header.parse().unwrap());
        }
        let answer = send(&self.pool, request).await;
        self.keep_cookies(&answer);
        answer
    }

    fn keep_cookies(&self, answer: &Answer) {
        let mut cookies = self.cookies.lock().unwrap();
        for header in answer.headers.get_all("set-cookie") {
            let text = header.to_str().unwrap();
            assert!(text.contains("; HttpOnly; SameSite=Lax"), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(path).header(HOST, "localhost:9229").body(body).unwrap()
}

fn form_request(path: &str, form: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = request(Method::POST, path, Body::from(body));
    request.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    request
}

/// Sends a request as it is, and checks what must hold of every answer.
pub(crate) async fn send(pool: &LocalPool, request: Request<Body>) -> Answer {
    let path = request.uri().path().to_owned();
    let answer = Answer::read(pool.router().oneshot(request).await.unwrap()).await;
    let header = |name| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let policy = header(CONTENT_SECURITY_POLICY.as_str()).unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
    assert_eq!(header("referrer-policy").as_deref(), Some("same-origin"), "{path}");
    let caching = header(CACHE_CONTROL.as_str()).unwrap_or_default();
    let public = path.starts_with("/assets/") || path.contains("/.well-known/");
    assert_eq!(caching, if public && answer.status.is_success() { "no-cache" } else { "no-store" }, "{path}");
    if answer.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/html")) {
        assert!(answer.text.contains("Local user pool"), "{path} does not say that it is a local pool");
        assert!(!answer.text.contains("<script"), "{path} has a script");
    }
    answer
}

#[derive(Debug)]
#[must_use]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text))
    }

    /// A member of a successful JSON answer.
    #[track_caller]
    pub(crate) fn member(&self, name: &str) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.text)).to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, error: &str) {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{}", self.text);
        assert_eq!(self.json()["error"], error, "{}", self.text);
    }

    #[track_caller]
    pub(crate) fn location(&self) -> String {
        assert_eq!(self.status, StatusCode::FOUND, "{}", self.text);
        self.headers[LOCATION].to_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn redirect_parameter(&self, name: &str) -> String {
        let location = self.location();
        query_of(&location).remove(name).unwrap_or_else(|| panic!("no {name} in {location}"))
    }

    /// The target of the page's first form.
    #[track_caller]
    pub(crate) fn form_action(&self) -> String {
        unescape(between(&self.text, "<form method=\"post\" action=\"", "\"").expect("a form"))
    }

    pub(crate) fn hidden_fields(&self) -> Vec<(String, String)> {
        let marker = "<input type=\"hidden\" name=\"";
        let form = self.text.split("</form>").next().unwrap();
        form.split(marker)
            .skip(1)
            .map(|rest| {
                let name = rest.split('"').next().unwrap();
                (name.to_owned(), unescape(between(rest, "value=\"", "\"").unwrap()))
            })
            .collect()
    }
}

pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

fn unescape(html: &str) -> String {
    html.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'")
}

/// A part of a JWT, decoded: 0 is the header, 1 the claims.
#[track_caller]
pub(crate) fn jwt_part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
