//! A user pool that exists only in tests.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::key::TestKey;
use super::server::JwksServer;
use super::token::{TokenBuilder, TokenIssuer};
use crate::builder::VerifierBuilder;
use crate::pool::UserPool;
use crate::resource_server::ResourceServer;
use crate::test_clock::TestClock;
use crate::verifier::Verifier;

/// A user pool that exists only in tests: it mints tokens as Cognito shapes them, with keys of its own.
///
/// Pools of one id share their keys within a process, because making keys takes a moment.
#[derive(Debug, Clone)]
pub struct TestPool {
    tokens: TokenIssuer,
    clock: Option<TestClock>,
}

impl TestPool {
    /// The pool `us-east-1_TestPool` with the app client `testclient`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_id("us-east-1_TestPool")
    }

    /// A pool of this id, with keys of its own. The same name is another user here, with another `sub`.
    ///
    /// # Panics
    ///
    /// If the id is not of Cognito's form.
    #[must_use]
    pub fn with_id(id: &str) -> Self {
        let issuer = UserPool::new(id).expect("the id is of Cognito's form").issuers().swap_remove(0);
        let tokens = TokenIssuer {
            pool_id: id.to_owned(),
            issuer,
            client_id: "testclient".to_owned(),
            access_key: TestKey::shared(format!("{id}-access-key")),
            id_key: TestKey::shared(format!("{id}-id-key")),
        };
        Self { tokens, clock: None }
    }

    /// The same pool under another issuer, such as that of a local pool.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.tokens.issuer = issuer.into();
        self
    }

    /// The same pool whose tokens are issued to another app client.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.tokens.client_id = client_id.into();
        self
    }

    /// The same pool at the time of this clock: its tokens are issued then, and its verifiers go by it.
    #[must_use]
    pub fn with_clock(mut self, clock: &TestClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// The same pool after Cognito has rotated its keys: the old ones are no longer published.
    #[must_use]
    pub fn rotated(&self) -> Self {
        let mut pool = self.clone();
        pool.tokens.access_key = TestKey::shared(format!("{}-next", self.access_key().kid()));
        pool.tokens.id_key = TestKey::shared(format!("{}-next", self.id_key().kid()));
        pool
    }

    /// The pool's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.tokens.pool_id
    }

    /// What its tokens carry as `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.tokens.issuer
    }

    /// The app client that its tokens are issued to unless a test says otherwise.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.tokens.client_id
    }

    /// The key that signs access tokens.
    #[must_use]
    pub fn access_key(&self) -> &TestKey {
        &self.tokens.access_key
    }

    /// The key that signs ID tokens.
    #[must_use]
    pub fn id_key(&self) -> &TestKey {
        &self.tokens.id_key
    }

    /// Starts the token of a user. The `sub` follows from the name.
    pub fn user(&self, username: &str) -> TokenBuilder {
        TokenBuilder::user(&self.tokens, self.now(), username)
    }

    /// Starts the token of the pool's app client on its own behalf.
    pub fn machine(&self) -> TokenBuilder {
        TokenBuilder::machine(&self.tokens, self.now())
    }

    /// The key set as the pool publishes it.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.id_key().jwk(), self.access_key().jwk()] })
    }

    /// The pool for a verifier, with its keys, so that nothing is fetched.
    #[must_use]
    pub fn user_pool(&self) -> UserPool {
        self.remote_user_pool().with_jwks_json(&self.jwks().to_string()).expect("the pool's keys are usable")
    }

    /// A verifier that accepts the pool's tokens and needs no network.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        self.verifier_builder().build().expect("the pool and its client are enough")
    }

    /// A resource server that accepts the pool's tokens and needs no network.
    #[must_use]
    pub fn resource_server(&self) -> ResourceServer {
        ResourceServer::new(self.verifier())
    }

    /// The builder of [`verifier`](Self::verifier), to change it.
    pub fn verifier_builder(&self) -> VerifierBuilder {
        let builder = Verifier::builder(self.user_pool()).client_ids([self.client_id()]);
        match &self.clock {
            Some(clock) => builder.clock(clock.clone()),
            None => builder,
        }
    }

    /// Publishes the key set on a loopback port of this machine.
    pub async fn serve(&self) -> JwksServer {
        JwksServer::start(&self.jwks()).await
    }

    /// The pool for a verifier that fetches the keys from such a server.
    #[must_use]
    pub fn served_user_pool(&self, server: &JwksServer) -> UserPool {
        self.remote_user_pool().with_jwks_url(&server.url()).expect("the server is on a loopback port")
    }

    fn now(&self) -> SystemTime {
        self.clock.as_ref().map_or_else(SystemTime::now, TestClock::now)
    }

    fn remote_user_pool(&self) -> UserPool {
        let pool = UserPool::new(self.id()).expect("the id was checked");
        pool.with_issuer(self.issuer()).expect("the issuer is https, or on a loopback host")
    }
}

impl Default for TestPool {
    fn default() -> Self {
        Self::new()
    }
}
