//! An AI client that knows only the URL: it finds the authorization server, registers, signs a user in and calls a tool.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client, StatusCode, Url};
use rmcp::{
    ServiceExt,
    model::CallToolRequestParams,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

use crate::{
    browser::{CHALLENGE, VERIFIER, browser, form, location},
    support::{Stack, free_ports},
};

/// A pool that accepts no more than Cognito.
fn strict_pool(api: u16) -> String {
    format!(
        r#"
        strict = true
        [[resource_servers]]
        identifier = "items"
        scopes = ["read", "write"]
        [[resource_servers]]
        identifier = "http://localhost:{api}/mcp"
        [[clients]]
        id = "ai"
        callback_urls = ["http://localhost:{api}/oauth/callback"]
        scopes = ["items/read", "items/write"]
        [[users]]
        username = "carol"
        password = "Str0ng-enough!"
        "#
    )
}

struct AiClient {
    mcp: String,
    redirect_uri: String,
    http: Client,
}

impl AiClient {
    /// Where it is told to sign in, from the 401 on.
    async fn discover(&self) -> Value {
        let answer = self.http.post(&self.mcp).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        let metadata = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
        let resource = self.json(metadata).await;
        assert_eq!(resource["resource"], self.mcp);
        let issuer = resource["authorization_servers"][0].as_str().unwrap();
        let server = self.json(&format!("{issuer}/.well-known/oauth-authorization-server")).await;
        assert_eq!(server["issuer"], issuer);
        server
    }

    async fn json(&self, url: &str) -> Value {
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Signs a user in as a browser does: consent page, hosted UI, callback.
    async fn sign_in(&self, stack: &Stack, user: (&str, &str)) -> Value {
        let server = self.discover().await;
        let endpoint = |name: &str| server[name].as_str().unwrap().to_owned();
        let registration = json!({"client_name": "Test", "redirect_uris": [self.redirect_uri]});
        let registered = self.http.post(endpoint("registration_endpoint")).json(&registration).send().await;
        let client: Value = registered.unwrap().json().await.unwrap();
        let client_id = client["client_id"].as_str().unwrap();
        let query = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", "a-state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", &self.mcp),
            ("scope", "items/read items/write offline_access"),
        ];
        let browser = browser();
        let page = browser.get(endpoint("authorization_endpoint")).query(&query).send().await.unwrap();
        let (_, mut fields) = form(&page.text().await.unwrap(), "sealed");
        fields.push(("decision".into(), "allow".into()));
        let approved = browser.post(endpoint("authorization_endpoint")).form(&fields).send().await.unwrap();
        assert_eq!(approved.status(), StatusCode::SEE_OTHER, "{}", approved.text().await.unwrap());
        let authorize = browser.get(location(&approved)).send().await.unwrap();
        let login = Url::parse(&stack.cognito("")).unwrap().join(location(&authorize)).unwrap();
        let page = browser.get(login.clone()).send().await.unwrap();
        let (action, mut fields) = form(&page.text().await.unwrap(), "password");
        fields.retain(|(field, _)| field != "username" && field != "password");
        fields.extend([("username".into(), user.0.into()), ("password".into(), user.1.into())]);
        let signed_in = browser.post(login.join(&action).unwrap()).form(&fields).send().await.unwrap();
        assert_eq!(signed_in.status(), StatusCode::FOUND, "{}", signed_in.text().await.unwrap());
        let received = browser.get(location(&signed_in)).send().await.unwrap();
        let callback = Url::parse(location(&received)).unwrap();
        assert!(callback.as_str().starts_with(&self.redirect_uri), "{callback}");
        let parameter =
            |name: &str| callback.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert_eq!((parameter("state"), parameter("iss")), ("a-state".to_owned(), endpoint("issuer")));
        let exchange = [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code", &parameter("code")),
            ("code_verifier", VERIFIER),
            ("resource", &self.mcp),
        ];
        let tokens = self.http.post(endpoint("token_endpoint")).form(&exchange).send().await.unwrap();
        assert_eq!(tokens.status(), StatusCode::OK, "{}", tokens.text().await.unwrap());
        let tokens: Value = tokens.json().await.unwrap();
        let refresh = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
        ];
        let refreshed = self.http.post(endpoint("token_endpoint")).form(&refresh).send().await.unwrap();
        let refreshed: Value = refreshed.json().await.unwrap();
        assert_eq!(audience(&refreshed), Some(json!(self.mcp)), "a refreshed token stays bound");
        tokens
    }

    async fn call(&self, tokens: &Value, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let request = self.http.post(&self.mcp).header("accept", "application/json, text/event-stream");
        let request = request.bearer_auth(tokens["access_token"].as_str().unwrap()).json(&message);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["result"]["structuredContent"].clone()
    }
}

fn audience(tokens: &Value) -> Option<Value> {
    let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims.get("aud").cloned()
}

#[tokio::test]
async fn an_ai_client_signs_in_from_nothing_but_the_url_at_any_port() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let pool = folder.path().join("pool.toml");
    fs::write(&pool, strict_pool(ports[0])).unwrap();
    let stack = Stack::start_with(folder.path(), ports, &["--pool", pool.to_str().unwrap()], &[]);
    for redirect_uri in ["http://localhost:51234/callback", "http://127.0.0.1:33418/"] {
        let client =
            AiClient { mcp: stack.api("/mcp"), redirect_uri: redirect_uri.to_owned(), http: Client::new() };
        let tokens = client.sign_in(&stack, ("carol", "Str0ng-enough!")).await;
        assert_eq!(audience(&tokens), Some(json!(client.mcp)), "the token is bound to the endpoint");
        let created = client.call(&tokens, "create_item", json!({"title": redirect_uri})).await;
        assert_eq!(created["title"], redirect_uri);
        let api = client.http.get(stack.api("/items")).bearer_auth(tokens["access_token"].as_str().unwrap());
        assert_eq!(api.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "and opens nothing else");
    }
}

#[tokio::test]
async fn the_demo_pool_has_what_ai_clients_need() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    let url = stack.api("/mcp");
    assert!(stack.says(&format!("claude mcp add --transport http items {url}")));
    let client =
        AiClient { mcp: url, redirect_uri: "http://localhost:8787/callback".to_owned(), http: Client::new() };
    let tokens = client.sign_in(&stack, ("alice", &stack.password("alice"))).await;
    assert_eq!(client.call(&tokens, "who_am_i", json!({})).await["username"], "alice");
}

#[tokio::test]
async fn rmcps_own_client_uses_the_items() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    let client = AiClient {
        mcp: stack.api("/mcp"),
        redirect_uri: "http://localhost:8787/callback".to_owned(),
        http: Client::new(),
    };
    let tokens = client.sign_in(&stack, ("bob", &stack.password("bob"))).await;
    let config = StreamableHttpClientTransportConfig::with_uri(&*client.mcp);
    let config = config.auth_header(tokens["access_token"].as_str().unwrap());
    let session = ().serve(StreamableHttpClientTransport::from_config(config)).await.unwrap();
    assert_eq!(session.list_all_tools().await.unwrap().len(), 8);
    let arguments = json!({"title": "from rmcp"}).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("create_item").with_arguments(arguments);
    let created = session.call_tool(call).await.unwrap();
    assert_eq!(created.structured_content.unwrap()["title"], "from rmcp");
    let resources = session.list_all_resources().await.unwrap();
    assert_eq!(resources[0].title.as_deref(), Some("from rmcp"));
    session.cancel().await.unwrap();
}
