//! A handler for API Gateway and AWS Lambda, without axum: headers in, status and body out.
//!
//! A function behind the Lambda runtime calls `handle` with each event. Here one event is read from the standard input:
//!
//! ```text
//! echo '{"headers": {"authorization": "Bearer …"}}' | COGNITO_USER_POOL_ID=eu-west-1_AbCdEfGhI \
//!     COGNITO_APP_CLIENT_ID=1example23456789 cargo run -p cognito-auth --example lambda_handler
//! ```
#![expect(clippy::print_stdout, reason = "the response of the function")]

use std::collections::HashMap;
use std::env;
use std::error::Error;

use cognito_auth::{AuthRejection, ResourceServer, UserPool, Verifier, scope};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

scope!(ItemsRead = "items/read");

/// The needed part of an event of an HTTP API (payload format 2.0).
#[derive(Deserialize)]
struct Event {
    headers: HashMap<String, String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Built once per instance of the function, outside the handler, so that requests share keys and cache.
    let pool = UserPool::new(&env::var("COGNITO_USER_POOL_ID")?)?;
    let verifier = Verifier::builder(pool).client_ids([env::var("COGNITO_APP_CLIENT_ID")?]).build()?;
    let server = ResourceServer::new(verifier);

    let event: Event = serde_json::from_reader(std::io::stdin())?;
    println!("{}", handle(&server, event).await?);
    Ok(())
}

async fn handle(server: &ResourceServer, event: Event) -> Result<Value, http::Error> {
    let headers = HeaderMap::try_from(&event.headers)?;
    Ok(match items(server, &headers).await {
        Ok(body) => json!({ "statusCode": 200, "body": body }),
        Err(rejection) => rejected(&rejection),
    })
}

async fn items(server: &ResourceServer, headers: &HeaderMap) -> Result<String, AuthRejection> {
    let token = server.authenticate(headers).await?;
    server.authorize::<ItemsRead>(&token)?;
    Ok(format!("items of {}", token.sub()))
}

fn rejected(rejection: &AuthRejection) -> Value {
    let headers = rejection.headers();
    let headers: HashMap<_, _> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    json!({ "statusCode": rejection.status().as_u16(), "headers": headers, "body": rejection.detail() })
}
