//! A service with a public route, a route for any caller, one for a scope and one for a group.
//!
//! ```text
//! COGNITO_USER_POOL_ID=eu-west-1_AbCdEfGhI COGNITO_APP_CLIENT_ID=1example23456789 \
//!     cargo run -p cognito-auth --example axum_service
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/me
//! ```
#![expect(clippy::print_stdout, reason = "the output of a program")]

use std::env;
use std::error::Error;

use axum::Router;
use axum::routing::{delete, get, post};
use cognito_auth::{Caller, Principal, ResourceServer, UserPool, Verifier, group, scope};

scope!(ItemsWrite = "items/write");
group!(Admins = "admins");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut pool = UserPool::new(&env::var("COGNITO_USER_POOL_ID")?)?;
    if let Ok(issuer) = env::var("COGNITO_ISSUER") {
        pool = pool.with_issuer(&issuer)?;
    }
    let verifier = Verifier::builder(pool).client_ids([env::var("COGNITO_APP_CLIENT_ID")?]).build()?;
    // Otherwise the first caller waits for the keys.
    if let Err(error) = verifier.ready().await {
        println!("{error}; until then the response is 503");
    }

    let app = Router::new()
        .route("/", get(home))
        .route("/me", get(me))
        .route("/items", post(create_item))
        .route("/items/{id}", delete(remove_item))
        .with_state(ResourceServer::new(verifier));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn home(caller: Option<Caller>) -> &'static str {
    if caller.is_some() { "Welcome back." } else { "Please sign in." }
}

async fn me(caller: Caller) -> String {
    match caller.principal() {
        Principal::User { username, groups, .. } => format!("user {username}, in groups {groups:?}"),
        Principal::Machine { client_id } => format!("app client {client_id}"),
        _ => "unknown".to_owned(),
    }
}

async fn create_item(caller: Caller<ItemsWrite>, body: String) -> String {
    format!("{} bytes for {}", body.len(), caller.sub())
}

async fn remove_item(_: Caller<(Admins, ItemsWrite)>) {}
