//! The caller themselves.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};

use crate::{
    auth::{Caller, ItemsRead, ItemsWrite},
    domain::{Profiles, Revocations},
    extract::Json,
    headers::etag,
    models::{
        profile::{NewProfile, Profile},
        user::CurrentUser,
        version::{IfMatch, IfNoneMatch, Preconditions},
    },
    observe::RequestContext,
    problem::{Problem, ProblemBody},
};

/// Who am I?
///
/// Answered from the access token alone: nothing is stored or looked up.
#[utoipa::path(get, path = "/users/me", tag = "users", responses((status = OK, body = CurrentUser)))]
pub(crate) async fn show_current_user(caller: Caller) -> Response {
    Json(CurrentUser::of(&caller)).into_response()
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
    context: RequestContext,
) -> Result<StatusCode, Problem> {
    context.audit("sign_out", caller.owner());
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
/// Succeeds without a profile, too, unless `If-Match` names a version.
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
