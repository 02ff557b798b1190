//! A Lambda authorizer for a REST API with the type `REQUEST`, or for the route `$connect` of a WebSocket API.
//!
//! Set `COGNITO_USER_POOL_ID` and `COGNITO_APP_CLIENT_ID` in the configuration of the function, and `Authorization` as its
//! identity source.

use std::env;

use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest;
use cognito_auth::{Authenticated, ResourceServer, UserPool, Verifier};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let pool = UserPool::new(&env::var("COGNITO_USER_POOL_ID")?)?;
    let verifier = Verifier::builder(pool).client_ids([env::var("COGNITO_APP_CLIENT_ID")?]).build()?;
    // An error is not fatal here: the first request fetches the keys again.
    verifier.ready().await.ok();
    let authorizer = &ResourceServer::new(verifier).lambda_authorizer::<Authenticated>();
    run(service_fn(async |event: LambdaEvent<ApiGatewayCustomAuthorizerRequestTypeRequest>| {
        Ok::<_, Error>(authorizer.rest_request(&event.payload).await?)
    }))
    .await
}
