//! A user pool of `cognito-local`, for tests from the issuer's token to the response.

use cognito_auth::{ResourceServer, UserPool, Verifier};
use cognito_local::{LocalPool, PoolConfig, bind_loopback, serve};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// A running pool with the machine client of its demo configuration.
pub(crate) struct RunningPool {
    pub(crate) origin: String,
    pub(crate) client_id: String,
    pub(crate) secret: SecretString,
    user_pool: UserPool,
}

impl RunningPool {
    pub(crate) async fn start() -> Self {
        let listeners = bind_loopback(0).await.unwrap();
        let origin = format!("http://localhost:{}", listeners[0].local_addr().unwrap().port());
        let pool = LocalPool::open(None, origin.parse().unwrap(), PoolConfig::demo(8000)).await.unwrap();
        let client = pool.client("localmachine").unwrap();
        let user_pool = UserPool::new(pool.pool_id()).unwrap().with_issuer(pool.issuer()).unwrap();
        tokio::spawn(serve(pool, listeners, std::future::pending()));
        Self { origin, client_id: client.id, secret: client.secret.unwrap(), user_pool }
    }

    pub(crate) fn resource_server(&self) -> ResourceServer {
        let verifier = Verifier::builder(self.user_pool.clone()).client_ids([&self.client_id]);
        ResourceServer::new(verifier.build().unwrap())
    }

    /// Returns a token of the machine client, by the client credentials grant.
    pub(crate) async fn token(&self, scope: &str) -> String {
        let response = reqwest::Client::new()
            .post(format!("{}/oauth2/token", self.origin))
            .basic_auth(&self.client_id, Some(self.secret.expose_secret()))
            .form(&[("grant_type", "client_credentials"), ("scope", scope)])
            .send()
            .await;
        let tokens: Value = response.unwrap().json().await.unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    }
}
