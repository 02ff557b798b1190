//! Builds valid and invalid test tokens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::key::{Algorithm, TestKey};

/// The lifetime of tokens by default.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Builds a token. Unless changed, it is like those that Cognito issues.
///
/// ```
/// use cognito_auth::testing::{Algorithm, TestPool};
/// use serde_json::json;
///
/// let pool = TestPool::new();
/// let other_client = pool.user("alice").claim("client_id", json!("other")).access_token();
/// let without_expiry = pool.user("alice").without_claim("exp").access_token();
/// let unsigned = pool.user("alice").algorithm(Algorithm::None).access_token();
/// let duplicate = pool.user("alice").payload_json(r#"{"exp":1,"exp":2}"#).access_token();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct TokenBuilder {
    issuer: TokenIssuer,
    username: Option<String>,
    groups: Vec<String>,
    scopes: Vec<String>,
    issued_at: SystemTime,
    lifetime: Duration,
    key: Option<TestKey>,
    algorithm: Algorithm,
    header: Changes,
    claims: Changes,
}

/// The part of a test pool that tokens depend on.
#[derive(Debug, Clone)]
pub(super) struct TokenIssuer {
    pub(super) pool_id: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    /// Cognito signs access tokens with one key and ID tokens with another.
    pub(super) access_key: TestKey,
    pub(super) id_key: TestKey,
}

/// Changes to the members of a JSON object.
#[derive(Debug, Clone, Default)]
struct Changes {
    members: Vec<(String, Option<Value>)>,
    bytes: Option<Vec<u8>>,
}

impl TokenBuilder {
    pub(super) fn user(issuer: &TokenIssuer, now: SystemTime, username: &str) -> Self {
        Self { username: Some(username.to_owned()), ..Self::machine(issuer, now) }
    }

    pub(super) fn machine(issuer: &TokenIssuer, now: SystemTime) -> Self {
        Self {
            issuer: issuer.clone(),
            username: None,
            groups: Vec::new(),
            scopes: Vec::new(),
            issued_at: now,
            lifetime: DEFAULT_LIFETIME,
            key: None,
            algorithm: Algorithm::Rs256,
            header: Changes::default(),
            claims: Changes::default(),
        }
    }

    /// Adds the user to a group; calls add up.
    pub fn in_group(mut self, group: &str) -> Self {
        self.groups.push(group.to_owned());
        self
    }

    /// Grants a scope, or several separated by spaces; calls add up.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scopes.push(scope.to_owned());
        self
    }

    /// Issues the token to another app client.
    pub fn client_id(self, client_id: &str) -> Self {
        self.claim("client_id", json!(client_id))
    }

    /// Issues the token at this time instead of now.
    pub fn issued_at(mut self, time: SystemTime) -> Self {
        self.issued_at = time;
        self
    }

    /// Sets the lifetime. Default: one hour.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Issues the token two hours ago with a lifetime of one hour.
    pub fn expired(mut self) -> Self {
        self.issued_at -= 2 * DEFAULT_LIFETIME;
        self.expires_in(DEFAULT_LIFETIME)
    }

    /// Sets or replaces a claim.
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.members.push((name.to_owned(), Some(value)));
        self
    }

    /// Removes a claim.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.members.push((name.to_owned(), None));
        self
    }

    /// Replaces the whole payload with these bytes, JSON or not.
    pub fn payload_json(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.claims.bytes = Some(json.into());
        self
    }

    /// Sets or replaces a header parameter.
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.members.push((name.to_owned(), Some(value)));
        self
    }

    /// Removes a header parameter.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.members.push((name.to_owned(), None));
        self
    }

    /// Replaces the whole header with these bytes, JSON or not.
    pub fn header_json(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.header.bytes = Some(json.into());
        self
    }

    /// Sets the key ID in the header without changing the key that signs.
    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", json!(kid))
    }

    /// Signs with this key instead of the pool's and names it in the header.
    pub fn signed_by(mut self, key: &TestKey) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Signs with this algorithm and names it in the header.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Creates the access token.
    #[must_use]
    pub fn access_token(&self) -> String {
        let mut claims = self.common_claims("access");
        claims.insert("client_id".to_owned(), json!(self.issuer.client_id));
        claims.insert("version".to_owned(), json!(2));
        claims.insert("scope".to_owned(), json!(self.scope_claim()));
        if let Some(username) = &self.username {
            claims.insert("username".to_owned(), json!(username));
        }
        self.finish(claims, &self.issuer.access_key)
    }

    /// Creates the ID token.
    #[must_use]
    pub fn id_token(&self) -> String {
        let mut claims = self.common_claims("id");
        claims.insert("aud".to_owned(), json!(self.issuer.client_id));
        if let Some(username) = &self.username {
            claims.insert("cognito:username".to_owned(), json!(username));
            claims.insert("email".to_owned(), json!(format!("{username}@example.com")));
            claims.insert("email_verified".to_owned(), json!(true));
        }
        self.finish(claims, &self.issuer.id_key)
    }

    fn common_claims(&self, token_use: &str) -> Map<String, Value> {
        let issued_at = unix_seconds(self.issued_at);
        let sub =
            self.username.as_deref().map_or_else(|| self.issuer.client_id.clone(), |name| self.sub(name));
        let claims = json!({
            "sub": &sub,
            "iss": self.issuer.issuer,
            "token_use": token_use,
            "auth_time": issued_at,
            "iat": issued_at,
            "exp": issued_at + self.lifetime.as_secs(),
            "jti": next_jti(),
        });
        let mut claims = claims.as_object().cloned().unwrap_or_default();
        if self.username.is_some() {
            claims.insert("origin_jti".to_owned(), json!(uuid(&format!("sign-in of {sub}"))));
            claims.insert("event_id".to_owned(), json!(uuid(&format!("event of {sub}"))));
        }
        if !self.groups.is_empty() {
            claims.insert("cognito:groups".to_owned(), json!(self.groups));
        }
        claims
    }

    /// Returns the `scope` claim. By default it is that of a sign-in through the SDK.
    fn scope_claim(&self) -> String {
        if self.scopes.is_empty() && self.username.is_some() {
            return "aws.cognito.signin.user.admin".to_owned();
        }
        self.scopes.join(" ")
    }

    fn sub(&self, username: &str) -> String {
        uuid(&format!("{}/{username}", self.issuer.pool_id))
    }

    fn finish(&self, claims: Map<String, Value>, pool_key: &TestKey) -> String {
        let key = self.key.as_ref().unwrap_or(pool_key);
        let header = json!({ "kid": key.kid(), "alg": self.algorithm.name() });
        let header = self.header.apply(header.as_object().cloned().unwrap_or_default());
        let signing_input = format!("{}.{}", encode(&header), encode(&self.claims.apply(claims)));
        let signature = key.sign(&self.algorithm, signing_input.as_bytes());
        format!("{signing_input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Changes {
    fn apply(&self, mut members: Map<String, Value>) -> Vec<u8> {
        if let Some(bytes) = &self.bytes {
            return bytes.clone();
        }
        for (name, value) in &self.members {
            match value {
                Some(value) => members.insert(name.clone(), value.clone()),
                None => members.remove(name),
            };
        }
        Value::Object(members).to_string().into_bytes()
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).expect("test tokens are issued after 1970").as_secs()
}

/// Returns a new token ID.
fn next_jti() -> String {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    uuid(&format!("token {}", TOKENS.fetch_add(1, Ordering::Relaxed)))
}

/// Returns text in the form of a UUID that the name determines.
fn uuid(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}
