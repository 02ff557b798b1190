//! A service of hyper, without a framework, whose callers must have a scope.
//!
//! ```text
//! COGNITO_USER_POOL_ID=eu-west-1_AbCdEfGhI COGNITO_APP_CLIENT_ID=1example23456789 \
//!     cargo run -p cognito-auth --example tower_service
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/
//! ```

use std::convert::Infallible;
use std::env;
use std::error::Error;

use cognito_auth::{AccessToken, ResourceServer, UserPool, Verifier, scope};
use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tower::{ServiceBuilder, service_fn};

scope!(ItemsRead = "items/read");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = UserPool::new(&env::var("COGNITO_USER_POOL_ID")?)?;
    let verifier = Verifier::builder(pool).client_ids([env::var("COGNITO_APP_CLIENT_ID")?]).build()?;
    let server = ResourceServer::new(verifier);

    let service = ServiceBuilder::new()
        .layer(server.layer::<ItemsRead>().body(String::from))
        .service(service_fn(async |request| Ok::<_, Infallible>(items(&request))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let (connection, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // An error means that the client disconnected.
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await.ok();
        });
    }
}

fn items<B>(request: &Request<B>) -> Response<String> {
    let caller = request.extensions().get::<AccessToken>().map(AccessToken::sub);
    Response::new(format!("items of {}", caller.unwrap_or_default()))
}
