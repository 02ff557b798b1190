//! The caller themselves.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use cognito_auth::Principal;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::{Caller, ItemsRead, ItemsWrite},
    domain::{Profiles, Revocations},
    extract::Json,
    headers::etag,
    models::{
        Timestamp,
        profile::{NewProfile, Profile},
        version::{IfMatch, IfNoneMatch, Preconditions},
    },
    problem::{Problem, ProblemBody},
};

/// Who calls, as the access token says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentUser<'a> {
    /// Whether a person or a machine calls.
    kind: CallerKind,
    /// The user's id in the pool; together with `user_pool_id` it is their identity. `null` for a machine.
    #[schema(example = "9b2d1c4e-6a7f-4e21-8c3d-5f60718293a4", required = true)]
    sub: Option<&'a str>,
    /// The name that the user signs in with. `null` for a machine.
    #[schema(example = "alice", required = true)]
    username: Option<&'a str>,
    /// The user pool.
    #[schema(example = "eu-west-1_AbCdEfGhI")]
    user_pool_id: &'a str,
    /// The app client that the token was issued to.
    #[schema(example = "1example23456789")]
    client_id: &'a str,
    /// The user's groups.
    #[schema(example = json!(["admins"]))]
    groups: &'a [String],
    /// What the token may be used for.
    #[schema(example = json!(["items/read", "items/write"]))]
    scopes: Vec<&'a str>,
    /// Until when the token is valid.
    expires_at: Timestamp,
}

/// Who can call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallerKind {
    /// A person who signed in.
    User,
    /// A program with credentials of its own.
    Machine,
}

/// Who am I?
///
/// Answered from the access token alone: nothing is stored or looked up.
#[utoipa::path(get, path = "/users/me", tag = "users", responses((status = OK, body = CurrentUser)))]
pub(crate) async fn show_current_user(caller: Caller) -> Response {
    let (kind, sub, username) = match caller.principal() {
        Principal::User { sub, username, .. } => (CallerKind::User, Some(sub), Some(username)),
        _ => (CallerKind::Machine, None, None),
    };
    let user = CurrentUser {
        kind,
        sub,
        username,
        user_pool_id: caller.user_pool_id(),
        client_id: caller.client_id(),
        groups: caller.groups(),
        scopes: caller.scopes().collect(),
        expires_at: Timestamp::at(caller.expires_at().into()),
    };
    Json(user).into_response()
}

/// Sign out everywhere.
///
/// Revokes all access tokens that the caller has got until now, on this server at once and on every other one within 30
/// seconds. Refresh tokens are not affected: revoke them at the user pool (`/oauth2/revoke`).
#[utoipa::path(post, path = "/users/me/sign-out", tag = "users",
    responses((status = NO_CONTENT, description = "The tokens are revoked")))]
pub(crate) async fn sign_out(
    State(revocations): State<Revocations>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    revocations.revoke(caller.sub()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read my profile.
#[utoipa::path(get, path = "/users/me/profile", tag = "users", params(IfNoneMatch), responses(
    (status = OK, body = Profile, headers(("etag" = String, description = "The profile's version, in quotes"))),
    (status = NOT_MODIFIED, description = "The caller has the current version"),
    (status = NOT_FOUND, body = ProblemBody, description = "No profile was set"),
))]
pub(crate) async fn show_profile(
    State(profiles): State<Profiles>,
    caller: Caller<ItemsRead>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let profile = profiles.read(caller.owner()).await?;
    if if_none_match.matches(profile.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(profile.version))]).into_response());
    }
    Ok(with_etag(profile))
}

/// Set my profile.
///
/// Without `If-Match` and `If-None-Match`, it overwrites whatever is there.
#[utoipa::path(put, path = "/users/me/profile", tag = "users", params(Preconditions), request_body = NewProfile, responses(
    (status = OK, body = Profile, headers(("etag" = String, description = "The new version, in quotes"))),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The profile has another version by now"),
))]
pub(crate) async fn replace_profile(
    State(profiles): State<Profiles>,
    caller: Caller<ItemsWrite>,
    preconditions: Preconditions,
    Json(new): Json<NewProfile>,
) -> Result<Response, Problem> {
    Ok(with_etag(profiles.replace(caller.owner(), new, &preconditions).await?))
}

/// Remove my profile.
///
/// It is no mistake if there is none, unless `If-Match` names a version.
#[utoipa::path(delete, path = "/users/me/profile", tag = "users", params(IfMatch), responses(
    (status = NO_CONTENT, description = "There is no profile any more"),
    (status = PRECONDITION_FAILED, body = ProblemBody, description = "The profile has another version by now"),
))]
pub(crate) async fn delete_profile(
    State(profiles): State<Profiles>,
    caller: Caller<ItemsWrite>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    profiles.remove(caller.owner(), &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_etag(profile: Profile) -> Response {
    ([(header::ETAG, etag(profile.version))], Json(profile)).into_response()
}
