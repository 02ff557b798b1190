//! A service for customers and staff, who sign in at different user pools.
//!
//! ```text
//! CUSTOMER_POOL_ID=eu-west-1_Customers CUSTOMER_CLIENT_ID=… STAFF_POOL_ID=eu-west-1_Staff STAFF_CLIENT_ID=… \
//!     cargo run -p cognito-auth --example two_pools
//! ```
#![expect(clippy::print_stdout, reason = "the output of a program")]

use std::env;
use std::error::Error;

use axum::Router;
use axum::routing::get;
use cognito_auth::{Caller, ResourceServer, UserPool, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let customers = UserPool::new(&env::var("CUSTOMER_POOL_ID")?)?;
    let staff = UserPool::new(&env::var("STAFF_POOL_ID")?)?;
    let verifier = Verifier::builder(customers)
        .pool(staff)
        .client_ids([env::var("CUSTOMER_CLIENT_ID")?, env::var("STAFF_CLIENT_ID")?])
        .build()?;

    let app = Router::new().route("/orders", get(orders)).with_state(ResourceServer::new(verifier));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// A `sub` is unique only in its pool, so an owner is identified by both.
async fn orders(caller: Caller) -> String {
    format!("orders of {}/{}", caller.user_pool_id(), caller.sub())
}
