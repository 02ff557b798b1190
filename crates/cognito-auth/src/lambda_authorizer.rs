//! Lambda authorizers of Amazon API Gateway.
//!
//! [`ResourceServer::lambda_authorizer`] creates one for a policy. Its methods handle the events of the three kinds of
//! API, and return what the function must return:
//!
//! ```no_run
//! use aws_lambda_events::apigw::ApiGatewayV2CustomAuthorizerV2Request;
//! use cognito_auth::{Authenticated, UserPool, Verifier, ResourceServer};
//! use lambda_runtime::{LambdaEvent, run, service_fn};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), lambda_runtime::Error> {
//!     let pool = UserPool::new("eu-west-1_AbCdEfGhI")?;
//!     let verifier = Verifier::builder(pool).client_ids(["1example23456789"]).build()?;
//!     let authorizer = &ResourceServer::new(verifier).lambda_authorizer::<Authenticated>();
//!     run(service_fn(async |event: LambdaEvent<ApiGatewayV2CustomAuthorizerV2Request>| {
//!         Ok::<_, lambda_runtime::Error>(authorizer.http_api(&event.payload).await?)
//!     }))
//!     .await
//! }
//! ```
//!
//! The token must be in the header `Authorization: Bearer <access token>`, also for WebSocket. The context of an admitted
//! request contains strings only: `userPoolId`, `sub`, `clientId`, `scopes` and `groups` (separated by spaces), and
//! `username` if the token has one.
//!
//! # Caching
//!
//! API Gateway caches results per token: 300 seconds for REST unless configured, never for HTTP unless configured. A
//! cached result also applies to other routes of the authorizer, so a policy document covers all methods of the stage. A
//! cached token is admitted up to that time after it expires or is revoked.

use std::collections::BTreeMap;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequest,
    ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse,
    ApiGatewayV2CustomAuthorizerSimpleResponse, ApiGatewayV2CustomAuthorizerV2Request,
};
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::access_token::AccessToken;
use crate::policy::Policy;
use crate::rejection::{AuthRejection, RejectionKind};
use crate::requirements::Requirements;
use crate::resource_server::ResourceServer;

/// The context of an admitted request, which integrations can read.
pub type Context = BTreeMap<String, String>;

/// Decides about requests for Amazon API Gateway. Created by [`ResourceServer::lambda_authorizer`].
#[derive(Debug, Clone)]
pub struct LambdaAuthorizer {
    server: ResourceServer,
    requirements: Requirements,
}

/// Why the function must fail instead of returning a decision. API Gateway does not cache it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizerError {
    /// The token is missing or invalid. API Gateway responds with 401 if the message is exactly this word.
    #[error("Unauthorized")]
    Unauthorized,
    /// The token cannot be verified at the moment. API Gateway responds with 500.
    #[error("access tokens cannot be verified at the moment")]
    KeysUnavailable(#[source] AuthRejection),
    /// The event's `methodArn` does not name an API and a stage. API Gateway responds with 500.
    #[error("the event has no methodArn that names an API and a stage")]
    MethodArn,
}

impl ResourceServer {
    /// Creates a [Lambda authorizer](crate::lambda_authorizer) that admits requests whose access token is valid and
    /// fulfils the policy `P`.
    #[must_use]
    pub fn lambda_authorizer<P: Policy>(&self) -> LambdaAuthorizer {
        LambdaAuthorizer { server: self.clone(), requirements: P::REQUIREMENTS }
    }
}

impl LambdaAuthorizer {
    /// Handles the event of a REST API's authorizer of the type `TOKEN`, whose token source is the header
    /// `Authorization`.
    ///
    /// A caller who does not fulfil the policy gets a `Deny`, and API Gateway responds with 403.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError`], which the function must return as its own error.
    pub async fn rest_token(
        &self,
        event: &ApiGatewayCustomAuthorizerRequest,
    ) -> Result<ApiGatewayCustomAuthorizerResponse<Context>, AuthorizerError> {
        let value = event.authorization_token.as_deref().unwrap_or_default();
        let value = HeaderValue::from_str(value).map_err(|_| AuthorizerError::Unauthorized)?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        self.rest(&headers, event.method_arn.as_deref()).await
    }

    /// Handles the event of an authorizer of the type `REQUEST`: of a REST API, or of a WebSocket API for the route
    /// `$connect`.
    ///
    /// A caller who does not fulfil the policy gets a `Deny`, and API Gateway responds with 403.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError`], which the function must return as its own error.
    pub async fn rest_request(
        &self,
        event: &ApiGatewayCustomAuthorizerRequestTypeRequest,
    ) -> Result<ApiGatewayCustomAuthorizerResponse<Context>, AuthorizerError> {
        // `headers` has only the last of several values.
        let all = &event.multi_value_headers;
        let headers = if all.is_empty() { &event.headers } else { all };
        self.rest(headers, event.method_arn.as_deref()).await
    }

    /// Handles the event of an HTTP API with payload format 2.0 and simple responses.
    ///
    /// A rejected caller gets a 403 from API Gateway; it responds with 401 itself if there is no identity source.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError::KeysUnavailable`], which the function must return as its own error.
    pub async fn http_api(
        &self,
        event: &ApiGatewayV2CustomAuthorizerV2Request,
    ) -> Result<ApiGatewayV2CustomAuthorizerSimpleResponse<Context>, AuthorizerError> {
        let mut response = ApiGatewayV2CustomAuthorizerSimpleResponse::<Context>::default();
        match self.decide(&event.headers).await {
            Ok(token) => {
                response.is_authorized = true;
                response.context = context(&token);
            }
            Err(rejection) if rejection.kind() == RejectionKind::KeysUnavailable => {
                return Err(AuthorizerError::KeysUnavailable(rejection));
            }
            Err(rejection) => log(&rejection),
        }
        Ok(response)
    }

    async fn rest(
        &self,
        headers: &HeaderMap,
        method_arn: Option<&str>,
    ) -> Result<ApiGatewayCustomAuthorizerResponse<Context>, AuthorizerError> {
        let resource = method_arn.and_then(all_methods).ok_or(AuthorizerError::MethodArn)?;
        let mut response = ApiGatewayCustomAuthorizerResponse::<Context>::default();
        let effect = match self.decide(headers).await {
            Ok(token) => {
                response.principal_id = Some(token.sub().to_owned());
                response.context = context(&token);
                IamPolicyEffect::Allow
            }
            Err(rejection) => {
                log(&rejection);
                response.principal_id = Some("rejected".to_owned());
                denial(rejection)?
            }
        };
        response.policy_document = policy_document(effect, resource);
        Ok(response)
    }

    async fn decide(&self, headers: &HeaderMap) -> Result<AccessToken, AuthRejection> {
        let token = self.server.authenticate(headers).await?;
        self.server.check(&self.requirements, &token)?;
        Ok(token)
    }
}

/// Returns the effect for a caller whose token is valid but not sufficient.
fn denial(rejection: AuthRejection) -> Result<IamPolicyEffect, AuthorizerError> {
    match rejection.kind() {
        RejectionKind::InsufficientScope | RejectionKind::Forbidden => Ok(IamPolicyEffect::Deny),
        RejectionKind::KeysUnavailable => Err(AuthorizerError::KeysUnavailable(rejection)),
        RejectionKind::MissingToken
        | RejectionKind::InvalidRequest
        | RejectionKind::InvalidToken
        | RejectionKind::ExpiredToken
        | RejectionKind::InsufficientAuthentication => Err(AuthorizerError::Unauthorized),
    }
}

/// API Gateway tells the caller nothing, so that only the log has the reason.
fn log(rejection: &AuthRejection) {
    let cause = std::error::Error::source(rejection).map(tracing::field::display);
    tracing::info!(kind = ?rejection.kind(), cause, "the authorizer rejected a request");
}

/// Returns the ARN of all methods of the stage: `<API>/<stage>/*` for `<API>/<stage>/<method>/<path>`.
fn all_methods(method_arn: &str) -> Option<String> {
    let mut parts = method_arn.splitn(3, '/');
    let (api, stage, method) = (parts.next()?, parts.next()?, parts.next()?);
    let is_valid = api.starts_with("arn:") && !stage.is_empty() && !method.is_empty();
    is_valid.then(|| format!("{api}/{stage}/*"))
}

fn policy_document(effect: IamPolicyEffect, resource: String) -> ApiGatewayCustomAuthorizerPolicy {
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.effect = effect;
    statement.resource = vec![resource];
    let mut policy = ApiGatewayCustomAuthorizerPolicy::default();
    policy.version = Some("2012-10-17".to_owned());
    policy.statement = vec![statement];
    policy
}

fn context(token: &AccessToken) -> Context {
    let values = [
        ("userPoolId", Some(token.user_pool_id().to_owned())),
        ("sub", Some(token.sub().to_owned())),
        ("clientId", Some(token.client_id().to_owned())),
        ("scopes", Some(token.scopes().collect::<Vec<_>>().join(" "))),
        ("groups", Some(token.groups().join(" "))),
        ("username", token.username().map(str::to_owned)),
    ];
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
