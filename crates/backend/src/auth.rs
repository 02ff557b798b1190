//! Who may do what in this application: its scopes, its groups, and the extractor that asks for them.
//!
//! A handler that takes a [`Caller`] runs for nobody else. `Caller<ItemsRead>` asks for a scope, `Caller<InGroup<Admins>>`
//! for a group, a tuple for all of its parts; without a parameter any valid access token will do.

use std::{marker::PhantomData, ops::Deref};

use axum::extract::FromRequestParts;
use cognito_auth::{AccessToken, AuthRejection, Policy, group, scope};
pub use cognito_auth::{Authenticated, InGroup};
use http::request::Parts;

use crate::{App, models::owner::Owner, observe::RequestContext, openapi, problem::Problem};

scope! {
    /// Read items, attachments and the profile.
    pub ItemsRead = "items/read";
}
scope! {
    /// Create, change and delete items, attachments and the profile.
    pub ItemsWrite = "items/write";
}
group! {
    /// May read and remove other users' items.
    pub Admins = "admins";
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
        // Who calls is known, logged and counted before it is asked what they may do, so that refusals count, too.
        let token = app.verifier().authenticate(&parts.headers).await?;
        let owner = Owner::of(&token);
        let permit = app.rate_limiter().check(&owner);
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            context.set_caller(&token);
            if let Some(limit) = permit.limit() {
                context.set_rate_limit(limit);
            }
        }
        permit.into_result()?;
        let authorized = app.verifier().authorize::<P>(&token);
        authorized.map_err(|refusal| {
            let missing = missing::<P>(&token, app.verifier().checks_scopes());
            let detail = format!("{} Missing: {missing}.", refusal.detail());
            Problem::from(refusal).detail(detail)
        })?;
        Ok(Self { token, owner, policy: PhantomData })
    }
}

/// What the caller lacks, in words.
fn missing<P: Policy>(token: &AccessToken, checks_scopes: bool) -> String {
    let ways = P::REQUIREMENTS.alternatives().into_iter().map(|mut way| {
        way.scopes.retain(|scope| checks_scopes && !token.has_scope(scope));
        way.groups.retain(|group| !token.in_group(group));
        openapi::describe(&way)
    });
    ways.collect::<Vec<_>>().join(", or ")
}

impl From<AuthRejection> for Problem {
    fn from(rejection: AuthRejection) -> Self {
        let problem = Self::new(rejection.status(), rejection.detail()).headers(rejection.headers());
        problem.cause(rejection)
    }
}
