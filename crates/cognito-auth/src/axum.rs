//! Extractors for axum: a handler that names one cannot run without what it stands for.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;

use crate::access_token::AccessToken;
use crate::policy::{Authenticated, Policy};
use crate::rejection::{AuthRejection, RejectionKind};
use crate::verifier::Verifier;

/// The caller of a request, verified and found to fulfil the policy `P`. It dereferences to the [`AccessToken`].
///
/// It needs a [`Verifier`] in the state of the router ([`FromRef`]). Name it before the extractor of the body, so that
/// a caller who is not let in learns nothing about the body that is expected. A token is verified once per request,
/// however many extractors ask for the caller.
///
/// `Option<Caller<P>>` is nothing for a request without a token. A token that is not valid, or a caller who does not
/// fulfil the policy, is rejected all the same: a client whose token has expired must learn it.
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use cognito_auth::{Caller, Verifier};
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
/// fn app(verifier: Verifier) -> Router {
///     Router::new()
///         .route("/", get(home))
///         .route("/me", get(me))
///         .route("/items", post(create_item))
///         .with_state(verifier)
/// }
/// ```
pub struct Caller<P = Authenticated> {
    token: AccessToken,
    policy: PhantomData<fn() -> P>,
}

impl<P> Caller<P> {
    /// The token itself, to be kept longer than the request's handler runs.
    #[must_use]
    pub fn into_token(self) -> AccessToken {
        self.token
    }
}

impl<P> Deref for Caller<P> {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.token
    }
}

impl<P> Clone for Caller<P> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone(), policy: PhantomData }
    }
}

impl<P> fmt::Debug for Caller<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Caller").field(&self.token).finish()
    }
}

impl<S, P> FromRequestParts<S> for Caller<P>
where
    Verifier: FromRef<S>,
    S: Send + Sync,
    P: Policy,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let verifier = Verifier::from_ref(state);
        let token = authenticate_once(&verifier, parts).await?;
        verifier.authorize::<P>(&token)?;
        Ok(Self { token, policy: PhantomData })
    }
}

impl<S, P> OptionalFromRequestParts<S> for Caller<P>
where
    Verifier: FromRef<S>,
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

/// What a verifier found out about the header of a request.
#[derive(Clone)]
struct Authentication {
    verifier: Verifier,
    header: HeaderValue,
    token: AccessToken,
}

/// Keeps the outcome in the request's extensions. It counts for the verifier that found it and for the header that it
/// was found for: routers with other verifiers, and layers that change the header, can share a request.
async fn authenticate_once(verifier: &Verifier, parts: &mut Parts) -> Result<AccessToken, AuthRejection> {
    if let Some(known) = parts.extensions.get::<Authentication>()
        && known.verifier.is_same(verifier)
        && parts.headers.get_all(AUTHORIZATION).iter().eq([&known.header])
    {
        return Ok(known.token.clone());
    }
    let token = verifier.authenticate(&parts.headers).await?;
    if let Some(header) = parts.headers.get(AUTHORIZATION).cloned() {
        let authentication = Authentication { verifier: verifier.clone(), header, token: token.clone() };
        parts.extensions.insert(authentication);
    }
    Ok(token)
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.headers(), self.detail()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
