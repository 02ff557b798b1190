//! The document says what is enforced, is the one that is committed, and its examples are true.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::TestApp;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

async fn document(app: &TestApp) -> Value {
    app.anonymous().get("/openapi.json").await.json()
}

/// Method, path and operation of everything in the document.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    operations.collect()
}

/// Run with `UPDATE_OPENAPI=1` to write the file anew; the difference is what a review looks at.
#[tokio::test]
async fn the_committed_document_is_the_one_that_is_served() {
    let app = TestApp::with(&[("COGNITO_DOMAIN", "https://example.auth.eu-west-1.amazoncognito.com")]).await;
    let served = serde_json::to_string_pretty(&document(&app).await).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(COMMITTED, &served).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    assert!(committed == served, "crates/backend/openapi.json is not what the code says; see this test");
}

#[tokio::test]
async fn documented_security_is_enforced() {
    let demanded = demands(&TestApp::start().await).await;
    assert_eq!(demanded, BTreeSet::from(["items/read", "items/write", "admins"].map(str::to_owned)));
}

#[tokio::test]
async fn scopes_that_are_not_enforced_are_not_documented() {
    let demanded = demands(&TestApp::with(&[("COGNITO_REQUIRE_SCOPES", "false")]).await).await;
    assert_eq!(demanded, BTreeSet::from(["admins".to_owned()]));
}

/// Leaves out each scope and each group that an operation demands by its document, and gives all of them.
async fn demands(app: &TestApp) -> BTreeSet<String> {
    let mut demanded = BTreeSet::new();
    let document = document(app).await;
    let mut secured = 0;
    for (method, path, operation) in operations(&document) {
        let send = |token: Option<String>| {
            let path = path
                .replace("{id}", "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")
                .replace("{attachment_id}", "0199a1b2-8d4e-7f50-9b6c-7d8e9f0a1b2c")
                .replace("{sub}", "somebody");
            let request = Request::builder().method(&*method).uri(path).body(Body::empty()).unwrap();
            let persona = token.map_or_else(|| app.anonymous(), |token| app.bearer(&token));
            async move { persona.send_raw(request).await.status }
        };
        let Some(security) = operation["security"].as_array() else {
            assert!(send(None).await.is_success(), "{method} {path} is documented as public");
            continue;
        };
        secured += 1;
        assert_eq!(send(None).await, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert!(operation["responses"]["401"].is_object(), "{method} {path}");
        let scopes: Vec<_> =
            security[0]["cognito"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        let description = operation["description"].as_str().unwrap_or_default();
        let groups: Vec<_> =
            ["admins"].into_iter().filter(|g| description.contains(&format!("the group `{g}`"))).collect();
        let token = |scopes: &[&str], groups: &[&str]| {
            let user = scopes.iter().fold(app.pool.user("somebody"), |user, scope| user.scope(scope));
            Some(groups.iter().fold(user, |user, group| user.in_group(group)).access_token())
        };
        // With exactly what is documented, the caller is let in; whatever then is wrong is something else.
        let status = send(token(&scopes, &groups)).await;
        assert!(
            !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            "{method} {path}: {status}"
        );
        for missing in &scopes {
            let others: Vec<_> = ["openid", "items/read", "items/write"]
                .into_iter()
                .filter(|scope| scope != missing)
                .collect();
            assert_eq!(
                send(token(&others, &groups)).await,
                StatusCode::FORBIDDEN,
                "{method} {path} without {missing}"
            );
        }
        for missing in &groups {
            assert_eq!(
                send(token(&scopes, &[])).await,
                StatusCode::FORBIDDEN,
                "{method} {path} without {missing}"
            );
        }
        let demands = !scopes.is_empty() || !groups.is_empty();
        assert_eq!(operation["responses"]["403"].is_object(), demands, "{method} {path}");
        demanded.extend(scopes.into_iter().chain(groups).map(str::to_owned));
    }
    assert_eq!(secured, 18);
    demanded
}

#[tokio::test]
async fn every_answer_has_a_schema_and_every_error_is_a_problem() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = response["content"].as_object();
            if ["204", "304"].contains(&status.as_str()) {
                assert!(content.is_none(), "{method} {path} {status}");
                continue;
            }
            let content = content.unwrap_or_else(|| panic!("{method} {path} {status} has no schema"));
            let is_error = status.starts_with(['4', '5']) && (path != "/health/ready" || status != "503");
            let expected = if is_error { "application/problem+json" } else { "application/json" };
            assert_eq!(content.keys().collect::<Vec<_>>(), [expected], "{method} {path} {status}");
        }
    }
}

#[tokio::test]
async fn examples_validate() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut checked = 0;
    for (name, schema) in schemas {
        let root =
            json!({"$ref": format!("#/components/schemas/{name}"), "components": document["components"]});
        let validator = jsonschema::draft202012::new(&root).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(example) = example(schema, schemas) else { continue };
        let mistakes: Vec<_> = validator.iter_errors(&example).map(|error| error.to_string()).collect();
        assert!(mistakes.is_empty(), "{name}: {mistakes:?} in {example}");
        checked += 1;
    }
    assert!(checked >= 15, "only {checked} schemas have an example");
}

/// The example that a schema gives, or the one that its parts make together.
fn example(schema: &Value, schemas: &serde_json::Map<String, Value>) -> Option<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return example(&schemas[reference.rsplit('/').next().unwrap()], schemas);
    }
    if let Some(given) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return Some(given.clone());
    }
    if let Some(first) = schema["enum"].get(0) {
        return Some(first.clone());
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(variants) = schema[key].as_array() {
            return variants.iter().find_map(|variant| example(variant, schemas));
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut merged = serde_json::Map::new();
        for part in parts {
            merged.extend(example(part, schemas)?.as_object()?.clone());
        }
        return Some(Value::Object(merged));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let required =
            |name: &String| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
        let mut object = serde_json::Map::new();
        for (name, property) in properties {
            match example(property, schemas) {
                Some(value) => drop(object.insert(name.clone(), value)),
                None if required(name) => return None,
                None => {}
            }
        }
        return Some(Value::Object(object));
    }
    match schema["type"].as_str() {
        Some("array") => Some(json!([example(&schema["items"], schemas)?])),
        _ => None,
    }
}

#[tokio::test]
async fn the_page_is_strict_and_comes_from_the_binary() {
    let app = TestApp::start().await;
    let router = app.router.clone();
    let get = |path: &'static str| {
        let router = router.clone();
        async move {
            use tower::ServiceExt;
            router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
        }
    };
    let page = get("/docs/").await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains("connect-src 'self' http://localhost:9229;"), "{policy}");
    for file in ["/docs/swagger-ui-bundle.js", "/docs/swagger-initializer.js", "/docs/oauth2-redirect.html"] {
        assert_eq!(get(file).await.status(), StatusCode::OK, "{file}");
    }
}
