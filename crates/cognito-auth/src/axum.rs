//! The extractor for axum.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::access_token::AccessToken;
use crate::policy::{Authenticated, Policy};
use crate::rejection::{AuthRejection, RejectionKind};
use crate::resource_server::ResourceServer;

/// The caller of a request, whose access token is valid and fulfils the policy `P`. It dereferences to the
/// [`AccessToken`].
///
/// It needs a [`ResourceServer`] in the state of the router ([`FromRef`]). Name it before the extractor of the body, so
/// that a rejected caller learns nothing about the expected body. A token is verified once per request, however many
/// extractors need the caller.
///
/// `Option<Caller<P>>` is `None` for a request without a token. An invalid token, or a caller who does not fulfil the
/// policy, is still rejected: a client whose token has expired must learn it.
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use cognito_auth::{Caller, ResourceServer};
///
/// cognito_auth::scope!(ItemsWrite = "items/write");
///
/// async fn me(caller: Caller) -> String {
///     caller.sub().to_owned()
/// }
///
/// async fn create_item(_: Caller<ItemsWrite>, body: String) {}
///
/// async fn home(caller: Option<Caller>) -> &'static str {
///     if caller.is_some() { "Welcome back." } else { "Please sign in." }
/// }
///
/// fn app(server: ResourceServer) -> Router {
///     Router::new()
///         .route("/", get(home))
///         .route("/me", get(me))
///         .route("/items", post(create_item))
///         .with_state(server)
/// }
/// ```
pub struct Caller<P: Policy = Authenticated> {
    token: AccessToken,
    policy: PhantomData<fn() -> P>,
}

impl<P: Policy> Caller<P> {
    /// Returns the token.
    #[must_use]
    pub fn into_token(self) -> AccessToken {
        self.token
    }
}

impl<P: Policy> Deref for Caller<P> {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.token
    }
}

impl<P: Policy> Clone for Caller<P> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone(), policy: PhantomData }
    }
}

impl<P: Policy> fmt::Debug for Caller<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.token).finish()
    }
}

impl<S, P> FromRequestParts<S> for Caller<P>
where
    ResourceServer: FromRef<S>,
    S: Send + Sync,
    P: Policy,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let server = ResourceServer::from_ref(state);
        let token = server.authenticate_request(parts).await?;
        server.authorize::<P>(&token)?;
        Ok(Self { token, policy: PhantomData })
    }
}

impl<S, P> OptionalFromRequestParts<S> for Caller<P>
where
    ResourceServer: FromRef<S>,
    S: Send + Sync,
    P: Policy,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, AuthRejection> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(caller) => Ok(Some(caller)),
            Err(rejection) if rejection.kind() == RejectionKind::MissingToken => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        let content_type = [(CONTENT_TYPE, self.content_type())];
        let mut response = (self.status(), self.headers(), content_type, self.body()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
