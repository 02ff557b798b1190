//! A user pool for tests.

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

/// A user pool for tests. It issues tokens like those of Cognito, with its own keys.
///
/// Pools with the same ID share their keys within a process, because generating keys is slow.
#[derive(Debug, Clone)]
pub struct TestPool {
    tokens: TokenIssuer,
    clock: Option<TestClock>,
}

impl TestPool {
    /// Creates the pool `us-east-1_TestPool` with the app client `testclient`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_id("us-east-1_TestPool")
    }

    /// Creates a pool with this ID and its own keys. Users of the same name in different pools have different `sub`s.
    ///
    /// # Panics
    ///
    /// Panics if the ID does not have the form of Cognito's.
    #[must_use]
    pub fn with_id(id: &str) -> Self {
        let issuer = UserPool::new(id).expect("the ID has the form of Cognito's").issuers().swap_remove(0);
        let tokens = TokenIssuer {
            pool_id: id.to_owned(),
            issuer,
            client_id: "testclient".to_owned(),
            access_key: TestKey::shared(format!("{id}-access-key")),
            id_key: TestKey::shared(format!("{id}-id-key")),
        };
        Self { tokens, clock: None }
    }

    /// Changes the issuer, for example to that of a local pool.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.tokens.issuer = issuer.into();
        self
    }

    /// Changes the app client that tokens are issued to.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.tokens.client_id = client_id.into();
        self
    }

    /// Uses this clock for issuing tokens and in the pool's verifiers.
    #[must_use]
    pub fn with_clock(mut self, clock: &TestClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Returns the same pool after a rotation: it has other keys and no longer publishes the old ones.
    #[must_use]
    pub fn rotated(&self) -> Self {
        let mut pool = self.clone();
        pool.tokens.access_key = TestKey::shared(format!("{}-next", self.access_key().kid()));
        pool.tokens.id_key = TestKey::shared(format!("{}-next", self.id_key().kid()));
        pool
    }

    /// Returns the pool's ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.tokens.pool_id
    }

    /// Returns the issuer of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.tokens.issuer
    }

    /// Returns the app client that tokens are issued to by default.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.tokens.client_id
    }

    /// Returns the key that signs access tokens.
    #[must_use]
    pub fn access_key(&self) -> &TestKey {
        &self.tokens.access_key
    }

    /// Returns the key that signs ID tokens.
    #[must_use]
    pub fn id_key(&self) -> &TestKey {
        &self.tokens.id_key
    }

    /// Starts a token for a user. The name determines the `sub`.
    pub fn user(&self, username: &str) -> TokenBuilder {
        TokenBuilder::user(&self.tokens, self.now(), username)
    }

    /// Starts a token for the app client on its own behalf.
    pub fn machine(&self) -> TokenBuilder {
        TokenBuilder::machine(&self.tokens, self.now())
    }

    /// Returns the key set that the pool publishes.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.id_key().jwk(), self.access_key().jwk()] })
    }

    /// Returns the pool with its keys, for a verifier that needs no network.
    #[must_use]
    pub fn user_pool(&self) -> UserPool {
        self.remote_user_pool().with_jwks_json(&self.jwks().to_string()).expect("the pool's keys are usable")
    }

    /// Returns a verifier that accepts the pool's tokens and needs no network.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        self.verifier_builder().build().expect("the pool and its client are enough")
    }

    /// Returns a resource server that accepts the pool's tokens and needs no network.
    #[must_use]
    pub fn resource_server(&self) -> ResourceServer {
        ResourceServer::new(self.verifier())
    }

    /// Returns the builder of [`verifier`](Self::verifier), for other settings.
    pub fn verifier_builder(&self) -> VerifierBuilder {
        let builder = Verifier::builder(self.user_pool()).client_ids([self.client_id()]);
        match &self.clock {
            Some(clock) => builder.clock(clock.clone()),
            None => builder,
        }
    }

    /// Serves the key set on a loopback port.
    pub async fn serve(&self) -> JwksServer {
        JwksServer::start(&self.jwks()).await
    }

    /// Returns the pool for a verifier that fetches the keys from this server.
    #[must_use]
    pub fn served_user_pool(&self, server: &JwksServer) -> UserPool {
        self.remote_user_pool().with_jwks_url(&server.url()).expect("the server is on a loopback port")
    }

    fn now(&self) -> SystemTime {
        self.clock.as_ref().map_or_else(SystemTime::now, TestClock::now)
    }

    fn remote_user_pool(&self) -> UserPool {
        let pool = UserPool::new(self.id()).expect("the ID was checked");
        pool.with_issuer(self.issuer()).expect("the issuer is https, or on a loopback host")
    }
}

impl Default for TestPool {
    fn default() -> Self {
        Self::new()
    }
}
