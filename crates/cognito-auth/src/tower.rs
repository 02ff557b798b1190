//! A layer for every server that is built on [tower](https://docs.rs/tower): axum, hyper, tonic, rmcp.
//!
//! [`ResourceServer::layer`] creates it for one policy. Requests that do not fulfil the policy get the response of the
//! layer; all others reach the service with their [`AccessToken`] in the extensions.
//!
//! ```
//! use axum::{Extension, Router, routing::{get, post}};
//! use cognito_auth::{AccessToken, Authenticated, ResourceServer, scope};
//!
//! scope!(ItemsWrite = "items/write");
//!
//! fn app(server: &ResourceServer) -> Router {
//!     Router::new()
//!         // One route needs a scope in addition to what all routes need.
//!         .route("/items", post(async || "created").layer(server.layer::<ItemsWrite>()))
//!         .route("/me", get(async |Extension(token): Extension<AccessToken>| token.sub().to_owned()))
//!         .layer(server.layer::<Authenticated>())
//! }
//! ```
//!
//! - **axum**: [`Caller`](crate::Caller) uses what the layer verified, if both have the same [`ResourceServer`].
//! - **tonic**: `Server::builder().layer(server.layer::<P>().grpc())`. A rejected request gets a `grpc-status`:
//!   `UNAUTHENTICATED`, `PERMISSION_DENIED` or `UNAVAILABLE`. A method finds the token with
//!   `request.extensions().get::<AccessToken>()`.
//! - **rmcp**: wrap `StreamableHttpService`. A tool finds the token in the extensions of its `http::request::Parts`.
//! - **hyper**: wrap the service with `server.layer::<P>().layer(service)`.
//!
//! A CORS layer must be outside of this one, because preflight requests have no token.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::access_token::AccessToken;
use crate::policy::Policy;
use crate::rejection::{AuthRejection, RejectionKind};
use crate::requirements::Requirements;
use crate::resource_server::ResourceServer;

mod grpc;

/// Lets only requests pass that fulfil a policy. Created by [`ResourceServer::layer`].
#[derive(Debug, Clone)]
#[must_use]
pub struct AuthLayer<F = EmptyBody> {
    guard: Guard,
    body: F,
}

/// The service of an [`AuthLayer`].
#[derive(Debug, Clone)]
pub struct AuthService<S, F = EmptyBody> {
    inner: S,
    guard: Guard,
    body: F,
}

/// Leaves the body of the response to a rejected request empty. Its headers say why it was rejected.
#[derive(Debug, Clone, Copy)]
pub struct EmptyBody;

/// Creates the response to a rejected request from its text. Implemented by [`EmptyBody`] and by functions such as
/// `axum::body::Body::from`.
pub trait RejectionBody<B> {
    /// Creates a response whose body is this text. An empty text makes an empty body without `Content-Type`.
    fn response(&self, content_type: &'static str, text: String) -> Response<B>;
}

/// The condition under which requests pass.
#[derive(Debug, Clone)]
struct Guard {
    server: ResourceServer,
    requirements: Requirements,
    is_optional: bool,
    is_grpc: bool,
}

impl ResourceServer {
    /// Creates a [layer](crate::tower) that lets only requests pass whose access token is valid and fulfils the policy
    /// `P`, for example [`Authenticated`](crate::Authenticated).
    pub fn layer<P: Policy>(&self) -> AuthLayer {
        let guard =
            Guard { server: self.clone(), requirements: P::REQUIREMENTS, is_optional: false, is_grpc: false };
        AuthLayer { guard, body: EmptyBody }
    }
}

impl<F> AuthLayer<F> {
    /// Also lets requests without a token pass. A token that is invalid, or does not fulfil the policy, is still
    /// rejected.
    pub fn optional(mut self) -> Self {
        self.guard.is_optional = true;
        self
    }

    /// Responds to rejected gRPC requests with a `grpc-status`, as gRPC clients expect it.
    ///
    /// The HTTP status of such a response is 200. Use this only for gRPC services: a proxy that asks a service whether a
    /// request may pass would read 200 as permission, and the client chooses the `Content-Type` that marks gRPC.
    pub fn grpc(mut self) -> Self {
        self.guard.is_grpc = true;
        self
    }

    /// Writes [`AuthRejection::body`] into the responses to rejected requests, with a function that converts text to
    /// the type of the service's body, such as `axum::body::Body::from`. Default: the body is empty.
    pub fn body<G>(self, body: G) -> AuthLayer<G> {
        AuthLayer { guard: self.guard, body }
    }
}

impl<S, F: Clone> Layer<S> for AuthLayer<F> {
    type Service = AuthService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService { inner, guard: self.guard.clone(), body: self.body.clone() }
    }
}

impl<S, F, B, R> Service<Request<B>> for AuthService<S, F>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    F: RejectionBody<R> + Clone + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // This instance was polled until it was ready; a clone of it was not.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (guard, body) = (self.guard.clone(), self.body.clone());
        Box::pin(async move {
            let (mut parts, content) = request.into_parts();
            match guard.admit(&mut parts).await {
                Ok(()) => inner.call(Request::from_parts(parts, content)).await,
                Err(rejection) => {
                    let content_type = guard.is_grpc.then(|| grpc::content_type(&parts.headers)).flatten();
                    Ok(response(rejection, content_type, &body))
                }
            }
        })
    }
}

impl Guard {
    /// Verifies the token and stores it in the extensions of the request.
    async fn admit(&self, parts: &mut Parts) -> Result<(), AuthRejection> {
        // An outer layer can have stored a token for another resource server.
        parts.extensions.remove::<AccessToken>();
        let token = match self.server.authenticate_request(parts).await {
            Err(rejection) if self.is_optional && rejection.kind() == RejectionKind::MissingToken => {
                return Ok(());
            }
            outcome => outcome?,
        };
        self.server.check(&self.requirements, &token)?;
        parts.extensions.insert(token);
        Ok(())
    }
}

/// Responds to a rejected request, which had this content type if it was gRPC. Like axum's, the response has the rejection
/// in its extensions.
fn response<B>(
    rejection: AuthRejection,
    grpc_content_type: Option<&HeaderValue>,
    body: &impl RejectionBody<B>,
) -> Response<B> {
    let mut response = match grpc_content_type {
        Some(content_type) => {
            let mut response = body.response("", String::new());
            response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
            response.headers_mut().extend(grpc::status(&rejection));
            response
        }
        None => {
            let mut response = body.response(rejection.content_type(), rejection.body());
            *response.status_mut() = rejection.status();
            response
        }
    };
    response.headers_mut().extend(rejection.headers());
    response.extensions_mut().insert(rejection);
    response
}

impl<B: Default> RejectionBody<B> for EmptyBody {
    fn response(&self, _: &'static str, _: String) -> Response<B> {
        Response::new(B::default())
    }
}

impl<B, F: Fn(String) -> B> RejectionBody<B> for F {
    fn response(&self, content_type: &'static str, text: String) -> Response<B> {
        let has_content = !text.is_empty();
        let mut response = Response::new(self(text));
        if has_content {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        response
    }
}
