//! The scopes and groups of this application, and the extractor that requires them.
//!
//! A handler that takes a [`Caller`] runs only for callers who fulfil its policy. `Caller<ItemsRead>` requires a scope,
//! `Caller<InGroup<Admins>>` a group, a tuple all of its parts; `Caller` accepts any valid access token.

use std::{marker::PhantomData, ops::Deref};

use axum::extract::FromRequestParts;
use cognito_auth::{AccessToken, Alternative, AuthRejection, Policy, ResourceServer, Scope, group, scope};
pub use cognito_auth::{Authenticated, InGroup, RecentSignIn};
use http::request::Parts;

use crate::{
    App, Config, models::owner::Owner, observe::RequestContext, problem::Problem, rate_limit::cost,
    rejection::Reason,
};

scope! {
    /// Read items, attachments and the profile.
    pub ItemsRead = "items/read";
}
scope! {
    /// Create, change and delete items, attachments and the profile.
    pub ItemsWrite = "items/write";
}
group! {
    /// May read and remove other users' items, and sign users out.
    pub Admins = "admins";
}

/// What every route of administrators requires, besides a scope.
pub type Administrator = (InGroup<Admins>, RecentSignIn);

/// The scopes of this API, each with its description.
pub fn scopes() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        (ItemsRead::NAME, ItemsRead::DESCRIPTION.trim_end_matches('.')),
        (ItemsWrite::NAME, ItemsWrite::DESCRIPTION.trim_end_matches('.')),
    ]
    .into_iter()
}

/// The scopes that this server checks: all of them, or none.
pub(crate) fn checked_scopes(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    scopes().filter(|_| config.cognito.require_scopes)
}

/// The scopes that `/docs` asks for when it signs in.
pub(crate) fn sign_in_scopes(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    std::iter::once(("openid", "Know who you are")).chain(checked_scopes(config))
}

/// A caller whose access token is valid and fulfils the policy `P`.
#[derive(Debug)]
pub struct Caller<P = Authenticated> {
    token: AccessToken,
    owner: Owner,
    policy: PhantomData<fn() -> P>,
}

impl<P> Caller<P> {
    /// The partition of this caller's own data.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

impl<P> Deref for Caller<P> {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.token
    }
}

impl<P: Policy> FromRequestParts<App> for Caller<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // The rate limit comes before the policy, so that rejected requests count, too.
        let Admitted { token, owner } = admit(parts, app).await?;
        authorize::<P>(app.resource_server(), &token)?;
        Ok(Self { token, owner, policy: PhantomData })
    }
}

/// The outcome of authentication and rate limit, kept in the request's extensions.
#[derive(Clone)]
struct Admitted {
    token: AccessToken,
    owner: Owner,
}

/// Verifies the token of a request, and notes for the outer layers who the caller is.
///
/// # Errors
///
/// [`AuthRejection`]; extractors that authenticate later get the same.
pub(crate) async fn authenticate(
    server: &ResourceServer,
    parts: &mut Parts,
) -> Result<AccessToken, AuthRejection> {
    let outcome = server.authenticate_request(parts).await;
    if let Some(context) = parts.extensions.get::<RequestContext>() {
        match &outcome {
            Ok(token) => context.set_caller(token),
            Err(rejection) if was_valid(rejection) => context.set_token_outdated(),
            Err(_) => {}
        }
    }
    outcome
}

/// Whether the token was valid before it expired or was revoked. Its signature was verified.
fn was_valid(rejection: &AuthRejection) -> bool {
    matches!(Reason::of(rejection), Some(Reason::ExpiredToken | Reason::RevokedToken))
}

/// Charges a request that matches no route to its caller, if it has one.
pub(crate) struct Charged;

impl FromRequestParts<App> for Charged {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if authenticate(app.resource_server(), parts).await.is_ok() {
            admit(parts, app).await?;
        }
        Ok(Self)
    }
}

/// Authenticates the caller and charges their rate limit, once per request, however many extractors ask.
async fn admit(parts: &mut Parts, app: &App) -> Result<Admitted, Problem> {
    if let Some(admitted) = parts.extensions.get::<Admitted>() {
        return Ok(admitted.clone());
    }
    let token = authenticate(app.resource_server(), parts).await?;
    let owner = Owner::of(&token);
    charge(app, &owner, cost(&parts.method, parts.uri.query()), parts.extensions.get())?;
    let admitted = Admitted { token, owner };
    parts.extensions.insert(admitted.clone());
    Ok(admitted)
}

/// Charges a caller's rate limit.
pub(crate) fn charge(
    app: &App,
    owner: &Owner,
    cost: u32,
    context: Option<&RequestContext>,
) -> Result<(), Problem> {
    let permit = app.rate_limiter().check(owner, cost);
    if let (Some(context), Some(limit)) = (context, permit.limit()) {
        context.set_rate_limit(limit);
    }
    permit.into_result()
}

/// Checks the policy `P`. The problem says what the caller lacks.
pub(crate) fn authorize<P: Policy>(server: &ResourceServer, token: &AccessToken) -> Result<(), Problem> {
    server.authorize::<P>(token).map_err(|rejection| {
        let missing = rejection.unmet().iter().map(describe).collect::<Vec<_>>().join(", or ");
        let detail = format!("{} Missing: {missing}.", rejection.detail());
        Problem::from(rejection).detail(detail)
    })
}

/// Describes one way to fulfil a policy.
pub(crate) fn describe(way: &Alternative) -> String {
    let scopes = way.scopes.iter().map(|scope| format!("the scope `{scope}`"));
    let groups = way.groups.iter().map(|group| format!("the group `{group}`"));
    let conditions = way.conditions.iter().map(|condition| (*condition).to_owned());
    let max_age = way.max_age.map(|max_age| format!("a sign-in within the last {} s", max_age.as_secs()));
    scopes.chain(groups).chain(conditions).chain(max_age).collect::<Vec<_>>().join(" and ")
}

impl From<AuthRejection> for Problem {
    fn from(rejection: AuthRejection) -> Self {
        let reason = Reason::of(&rejection);
        let problem = Self::new(rejection.status(), rejection.detail()).headers(rejection.headers());
        problem.rejection(reason).cause(rejection)
    }
}
