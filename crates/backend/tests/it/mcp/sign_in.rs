//! The sign-in of AI clients: the facade in front of Cognito, and the broker.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, routing::post};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use url::Url;

use super::{ORIGIN, start, start_with};
use crate::support::TestApp;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const KEY: &str = "a key of at least 32 characters, for tests";
const CLIENT: &str = "http://localhost:51234/callback";

/// A server with the facade and, with a key, the broker; its Cognito answers as the test says.
struct SignIn {
    app: TestApp,
    cognito: Cognito,
}

type Form = Vec<(String, String)>;

#[derive(Clone)]
struct Cognito {
    url: String,
    forms: Arc<Mutex<Vec<Form>>>,
    answer: Arc<Mutex<(u16, Value)>>,
}

struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Cognito {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tokens = json!({"access_token": "A", "refresh_token": "R", "id_token": "I", "token_type": "Bearer",
            "expires_in": 3600});
        let cognito = Self { url, forms: Arc::default(), answer: Arc::new(Mutex::new((200, tokens))) };
        let (forms, answer) = (cognito.forms.clone(), cognito.answer.clone());
        let exchange = move |body: String| async move {
            forms.lock().unwrap().push(serde_urlencoded::from_str(&body).unwrap());
            let (status, body) = answer.lock().unwrap().clone();
            (StatusCode::from_u16(status).unwrap(), body.to_string())
        };
        let router = Router::new().route("/oauth2/token", post(exchange));
        tokio::spawn(async move { axum::serve(listener, router).await });
        cognito
    }

    fn answer(&self, status: u16, body: Value) {
        *self.answer.lock().unwrap() = (status, body);
    }

    /// What the last exchange sent.
    fn last(&self, name: &str) -> Option<String> {
        let forms = self.forms.lock().unwrap();
        let form = forms.last().expect("nothing was exchanged");
        form.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

impl SignIn {
    async fn facade() -> Self {
        Self::with(&[]).await
    }

    async fn broker() -> Self {
        Self::with(&[("MCP_BROKER_KEY", KEY)]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let cognito = Cognito::start().await;
        let client_id = cognito_auth::testing::TestPool::new().client_id().to_owned();
        let own = [
            ("MCP_CLIENT_ID", &*client_id),
            ("COGNITO_DOMAIN", &cognito.url),
            ("MCP_REDIRECT_URIS", "https://claude.ai/api/mcp/auth_callback"),
        ];
        Self { app: start_with(&[variables, &own[..]].concat()).await, cognito }
    }

    fn client_id(&self) -> &str {
        self.app.pool.client_id()
    }

    async fn send(&self, request: Request<Body>) -> Response {
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Response { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, cookie: &str) -> Response {
        self.send(Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await
    }

    async fn post_form(&self, path: &str, form: &[(&str, &str)], cookie: &str) -> Response {
        let request = Request::post(path)
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(serde_urlencoded::to_string(form).unwrap())).unwrap()).await
    }

    async fn register(&self, body: Value) -> Response {
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The authorization request of a well-behaved client, with some parameters changed; empty ones are left out.
    fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let defaults = [
            ("client_id", self.client_id()),
            ("redirect_uri", CLIENT),
            ("response_type", "code"),
            ("state", "of the client"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "items/read"),
            ("resource", "http://127.0.0.1:8000/mcp"),
        ];
        let kept = defaults.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let all: Vec<_> = kept.chain(changes).filter(|(_, value)| !value.is_empty()).collect();
        format!("/oauth/authorize?{}", serde_urlencoded::to_string(all).unwrap())
    }

    /// The page that a client's request leads to.
    async fn page(&self, redirect_uri: &str) -> Page {
        let response = self.get(&self.authorize(&[("redirect_uri", redirect_uri)]), "").await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.body);
        let (_, rest) = response.body.split_once("name=\"sealed\" value=\"").unwrap();
        let sealed = rest.split('"').next().unwrap().to_owned();
        Page { sealed, cookie: response.cookie(), response }
    }

    async fn decide(&self, page: &Page, decision: &str) -> Response {
        let form = [("sealed", &*page.sealed), ("decision", decision)];
        self.post_form("/oauth/authorize", &form, &page.cookie).await
    }

    /// Signs in up to the client's code.
    async fn code(&self, redirect_uri: &str) -> String {
        let page = self.page(redirect_uri).await;
        let approved = self.decide(&page, "allow").await;
        let state = approved.location().parameter("state").unwrap();
        let callback = format!("/oauth/callback?code=of+Cognito&state={state}");
        let received = self.get(&callback, &approved.cookie()).await;
        received.location().parameter("code").unwrap()
    }

    async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client_id()),
            ("code", code),
            ("redirect_uri", CLIENT),
            ("code_verifier", "of the client"),
            ("resource", "http://127.0.0.1:8000/mcp"),
        ];
        let kept = form.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let form: Vec<_> = kept.chain(changes).copied().filter(|(_, value)| !value.is_empty()).collect();
        self.post_form("/oauth/token", &form, "").await
    }
}

struct Page {
    sealed: String,
    cookie: String,
    response: Response,
}

impl Response {
    #[track_caller]
    fn location(&self) -> Location {
        assert!(self.status.is_redirection(), "{}: {}", self.status, self.body);
        Location(Url::parse(self.headers[header::LOCATION].to_str().unwrap()).unwrap())
    }

    /// The cookie as a browser sends it back.
    fn cookie(&self) -> String {
        let cookie = self.headers[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    fn assert_stops(&self) {
        assert!(self.status.is_client_error(), "{}", self.status);
        assert!(!self.headers.contains_key(header::LOCATION), "{:?}", self.headers);
    }
}

struct Location(Url);

impl Location {
    fn parameter(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    fn path(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }
}

#[tokio::test]
async fn metadata_has_what_cognitos_lacks() {
    let facade = SignIn::facade().await;
    let path = "/.well-known/oauth-authorization-server";
    let expected = json!({
        "issuer": ORIGIN,
        "authorization_endpoint": format!("{ORIGIN}/oauth/authorize"),
        "token_endpoint": format!("{}/oauth2/token", facade.cognito.url),
        "registration_endpoint": format!("{ORIGIN}/register"),
        "scopes_supported": ["items/read", "items/write"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
    });
    assert_eq!(facade.get(path, "").await.json(), expected);
    let resource = facade.get("/.well-known/oauth-protected-resource/mcp", "").await.json();
    assert_eq!(resource["authorization_servers"], json!([ORIGIN]), "the issuer, character for character");
    let api = facade.get("/.well-known/oauth-protected-resource", "").await.json();
    assert_ne!(api["authorization_servers"], json!([ORIGIN]), "the API's tokens come from Cognito");

    let broker = SignIn::broker().await.get(path, "").await.json();
    assert_eq!(broker["token_endpoint"], format!("{ORIGIN}/oauth/token"));
    assert_eq!(broker["authorization_response_iss_parameter_supported"], true);
    // The Python client stops at any other status for paths that do not exist.
    for unknown in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp"] {
        assert_eq!(facade.get(unknown, "").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn without_a_client_there_is_no_sign_in() {
    let app = start().await;
    for path in ["/.well-known/oauth-authorization-server", "/oauth/authorize", "/oauth/callback"] {
        assert_eq!(app.anonymous().get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(app.anonymous().post("/register", json!({})).await.status, StatusCode::NOT_FOUND);
    let facade = SignIn::facade().await;
    assert_eq!(facade.get("/oauth/callback", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(facade.post_form("/oauth/token", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn registration_answers_with_the_app_client() {
    let facade = SignIn::facade().await;
    let named = [
        "http://localhost:8787/callback",
        "https://evil.example/callback",
        "https://claude.ai/api/mcp/auth_callback",
    ];
    let answer = facade.register(json!({"redirect_uris": named, "client_name": "Test"})).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let client = answer.json();
    assert_eq!(client["client_id"], facade.client_id());
    assert_eq!(
        client["redirect_uris"],
        json!([named[0], named[2]]),
        "one unknown URI does not refuse the set"
    );
    assert_eq!(client["token_endpoint_auth_method"], "none");
    assert!(client.get("client_secret").is_none());
    for uris in [json!(["https://evil.example/callback"]), json!([])] {
        let answer = facade.register(json!({ "redirect_uris": uris })).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_redirect_uri"))
        );
    }
}

#[tokio::test]
async fn what_clients_leave_out_or_write_differently_is_completed_for_cognito() {
    let facade = SignIn::facade().await;
    for resource in
        ["", ORIGIN, "http://127.0.0.1:8000/", "http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp/"]
    {
        for (asked, granted) in [
            ("", "items/read items/write"),
            ("items/read", "items/read"),
            ("items/read offline_access", "items/read"),
            ("offline_access", "items/read items/write"),
            ("openid email", "items/read items/write"),
        ] {
            let request = facade.authorize(&[("resource", resource), ("scope", asked)]);
            let location = facade.get(&request, "").await.location();
            assert_eq!(location.path(), format!("{}/oauth2/authorize", facade.cognito.url));
            for (name, value) in [
                ("resource", "http://127.0.0.1:8000/mcp"),
                ("scope", granted),
                ("redirect_uri", CLIENT),
                ("state", "of the client"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ] {
                assert_eq!(location.parameter(name).as_deref(), Some(value), "{resource} {asked}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_is_rejected_at_the_client_only_if_its_uri_is_allowed() {
    for sign_in in [SignIn::facade().await, SignIn::broker().await] {
        for change in [
            ("client_id", "another"),
            ("redirect_uri", "https://evil.example/callback"),
            ("redirect_uri", "http://localhost@evil.example/"),
            ("redirect_uri", "javascript:alert(1)"),
            ("state", &"x".repeat(1025)),
        ] {
            sign_in.get(&sign_in.authorize(&[change]), "").await.assert_stops();
        }
        for (change, error) in [
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge", "too short"), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("resource", "https://other.example/mcp"), "invalid_target"),
            (("resource", "http://127.0.0.1:8000/mcp2"), "invalid_target"),
            (("scope", "items/admin"), "invalid_scope"),
            (("scope", "items/read items/admin"), "invalid_scope"),
        ] {
            let location = sign_in.get(&sign_in.authorize(&[change]), "").await.location();
            assert_eq!(location.path(), CLIENT);
            assert_eq!(location.parameter("error").as_deref(), Some(error), "{change:?}");
            assert_eq!(location.parameter("state").as_deref(), Some("of the client"));
        }
    }
}

#[tokio::test]
async fn a_sign_in_through_the_broker_needs_one_callback_url_for_every_port() {
    let broker = SignIn::broker().await;
    for client in [
        "http://localhost:51234/callback",
        "http://127.0.0.1:33418/",
        "https://claude.ai/api/mcp/auth_callback",
    ] {
        let page = broker.page(client).await;
        let approved = broker.decide(&page, "allow").await;
        let cognito = approved.location();
        assert_eq!(cognito.path(), format!("{}/oauth2/authorize", broker.cognito.url));
        assert_eq!(
            cognito.parameter("redirect_uri").as_deref(),
            Some("http://127.0.0.1:8000/oauth/callback")
        );
        assert_eq!(
            cognito.parameter("code_challenge").as_deref(),
            Some(CHALLENGE),
            "PKCE is the client's own"
        );
        let state = cognito.parameter("state").unwrap();
        assert!(!state.contains("localhost") && state.len() < 2000, "{state}");

        let callback = format!("/oauth/callback?code=of+Cognito&state={state}");
        let received = broker.get(&callback, &approved.cookie()).await;
        let location = received.location();
        assert_eq!(location.path(), client);
        assert_eq!(location.parameter("state").as_deref(), Some("of the client"));
        assert_eq!(location.parameter("iss").as_deref(), Some(ORIGIN));
        let code = location.parameter("code").unwrap();
        assert!(!code.contains("Cognito"));

        let tokens = broker.exchange(&code, &[("redirect_uri", client)]).await;
        assert_eq!(tokens.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            tokens.json(),
            json!({"access_token": "A", "refresh_token": "R", "token_type": "Bearer",
            "expires_in": 3600, "scope": "items/read"})
        );
        let sent = |name| broker.cognito.last(name);
        assert_eq!(sent("code").as_deref(), Some("of Cognito"));
        assert_eq!(sent("redirect_uri").as_deref(), Some("http://127.0.0.1:8000/oauth/callback"));
        assert_eq!(sent("code_verifier").as_deref(), Some("of the client"));
        assert_eq!(sent("client_id").as_deref(), Some(broker.client_id()));
        assert_eq!(sent("resource"), None, "Cognito rejects it here");
    }
}

#[tokio::test]
async fn a_code_reaches_only_the_browser_that_approved() {
    let broker = SignIn::broker().await;
    // An attacker approves in their own browser, and sends the link at Cognito to a victim.
    let attackers = broker.page("http://localhost:6666/callback").await;
    let approved = broker.decide(&attackers, "allow").await;
    let state = approved.location().parameter("state").unwrap();
    let callback = format!("/oauth/callback?code=of+the+victim&state={state}");
    let victims = broker.page(CLIENT).await;
    let victims_approval = broker.decide(&victims, "allow").await;
    for cookie in ["", &victims.cookie, &victims_approval.cookie(), "mcp-sign-in-=x"] {
        broker.get(&callback, cookie).await.assert_stops();
    }
    // The cookie of the page is not an approval.
    broker.get(&callback, &attackers.cookie).await.assert_stops();
    assert_eq!(broker.get(&callback, &approved.cookie()).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn the_approval_is_used_up_by_the_callback() {
    let broker = SignIn::broker().await;
    let approved = broker.decide(&broker.page(CLIENT).await, "allow").await;
    let state = approved.location().parameter("state").unwrap();
    let received = broker.get(&format!("/oauth/callback?code=c&state={state}"), &approved.cookie()).await;
    let removed = received.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(
        removed.contains("Max-Age=0") && removed.split_once('=').unwrap().1.starts_with(';'),
        "{removed}"
    );
}

#[tokio::test]
async fn nobody_can_send_the_form_for_the_user() {
    let broker = SignIn::broker().await;
    let page = broker.page(CLIENT).await;
    let another = broker.page(CLIENT).await;
    for cookie in ["", &another.cookie] {
        let form = [("sealed", &*page.sealed), ("decision", "allow")];
        broker.post_form("/oauth/authorize", &form, cookie).await.assert_stops();
    }
    let mut changed = page.sealed.clone();
    changed.replace_range(40..41, if &changed[40..41] == "A" { "B" } else { "A" });
    let form = [("sealed", &*changed), ("decision", "allow")];
    broker.post_form("/oauth/authorize", &form, &page.cookie).await.assert_stops();
    let foreign = SignIn::with(&[("MCP_BROKER_KEY", "another key of at least 32 characters")]).await;
    foreign.decide(&page, "allow").await.assert_stops();

    let denied = broker.decide(&page, "deny").await.location();
    assert_eq!(
        (denied.path(), denied.parameter("error")),
        (CLIENT.to_owned(), Some("access_denied".to_owned()))
    );
}

#[tokio::test]
async fn the_page_names_the_client_and_cannot_be_framed() {
    let broker = SignIn::broker().await;
    let page = broker.page(CLIENT).await;
    let (html, headers) = (&page.response.body, &page.response.headers);
    assert!(html.contains("a program on this computer (http://localhost:51234)"), "{html}");
    assert!(
        html.contains("Read items") && !html.contains("Create, change"),
        "only what is asked for: {html}"
    );
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"), "{policy}");
    assert!(policy.contains("http://localhost:51234"), "browsers apply form-action to redirects: {policy}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let cookie = headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && !cookie.contains("Domain"), "{cookie}");

    let https = SignIn::with(&[("MCP_BROKER_KEY", KEY), ("PUBLIC_URL", "https://api.example.com")]).await;
    let request = https.authorize(&[("resource", "https://api.example.com/mcp")]);
    let cookie = https.get(&request, "").await.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.starts_with("__Host-") && cookie.ends_with("; Secure") && cookie.contains("Path=/;"),
        "{cookie}"
    );
}

#[tokio::test]
async fn a_code_is_good_only_where_the_client_got_it() {
    let broker = SignIn::broker().await;
    let code = broker.code(CLIENT).await;
    for (change, error) in [
        (("redirect_uri", "http://localhost:51235/callback"), "invalid_grant"),
        (("redirect_uri", ""), "invalid_grant"),
        (("code", "of Cognito"), "invalid_grant"),
        (("code_verifier", ""), "invalid_request"),
        (("client_id", "another"), "invalid_client"),
        (("grant_type", "client_credentials"), "unsupported_grant_type"),
    ] {
        let answer = broker.exchange(&code, &[change]).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{change:?}"
        );
    }
    assert!(broker.cognito.forms.lock().unwrap().is_empty(), "nothing of this reached Cognito");
    let page = broker.page(CLIENT).await;
    assert_eq!(
        broker.exchange(&page.sealed, &[]).await.json()["error"],
        "invalid_grant",
        "sealed for another purpose"
    );
}

#[tokio::test]
async fn an_error_of_cognito_reaches_the_client() {
    let broker = SignIn::broker().await;
    let approved = broker.decide(&broker.page(CLIENT).await, "allow").await;
    let state = approved.location().parameter("state").unwrap();
    for (query, error) in [("error=access_denied", "access_denied"), ("error=strange", "server_error")] {
        let callback = format!("/oauth/callback?{query}&error_description=x&state={state}");
        let location = broker.get(&callback, &approved.cookie()).await.location();
        assert_eq!(
            (location.path(), location.parameter("error").unwrap()),
            (CLIENT.to_owned(), error.to_owned())
        );
    }
    let foreign = format!("/oauth/callback?code=c&iss=https%3A%2F%2Fevil.example&state={state}");
    broker.get(&foreign, &approved.cookie()).await.assert_stops();
}

#[tokio::test]
async fn refresh_tokens_pass_through_and_outages_are_told() {
    let broker = SignIn::broker().await;
    let form = [("grant_type", "refresh_token"), ("client_id", broker.client_id()), ("refresh_token", "R0")];
    let refresh = || broker.post_form("/oauth/token", &form, "");
    broker.cognito.answer(200, json!({"access_token": "A2", "token_type": "Bearer", "expires_in": 60}));
    assert_eq!(
        refresh().await.json(),
        json!({"access_token": "A2", "token_type": "Bearer", "expires_in": 60})
    );
    assert_eq!(broker.cognito.last("refresh_token").as_deref(), Some("R0"));

    broker.cognito.answer(400, json!({"error": "invalid_grant"}));
    let refused = refresh().await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    for (status, body) in [
        (500, json!({})),
        (200, json!({"no": "token"})),
        (302, json!({})),
        (403, json!({"error": "invalid_grant"})),
        (429, json!({"error": "invalid_grant"})),
        (400, json!({"error": "unheard_of"})),
    ] {
        broker.cognito.answer(status, body);
        let answer = refresh().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{status}");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
}

#[tokio::test]
async fn pages_of_every_origin_can_register_and_exchange() {
    let broker = SignIn::broker().await;
    for (path, is_public) in [("/register", true), ("/oauth/token", true), ("/oauth/authorize", false)] {
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header(header::ORIGIN, "https://inspector.example")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
        let answer = broker.send(preflight.body(Body::empty()).unwrap()).await;
        let allowed = answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed.is_some(), is_public, "{path}");
    }
}
