//! What an operation requires of its caller, read from the handler's signature.

use cognito_auth::{Alternative, Policy, ResourceServer};
use http::StatusCode;
use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
    path::{Operation, PathItem},
    security::SecurityRequirement,
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::{
    App,
    auth::{Caller, describe},
};

/// The name of the one security scheme: sign-in on the hosted UI where there is one, else a token from elsewhere.
pub(super) const COGNITO: &str = "cognito";

/// A handler that takes a [`Caller`], alone or behind its state, and with it the policy that it names.
pub(crate) trait Secured<Arguments> {
    /// What it demands of its caller.
    type Policy: Policy;
}

impl<F, Fut, P> Secured<(Caller<P>,)> for F
where
    F: Fn(Caller<P>) -> Fut,
    P: Policy,
{
    type Policy = P;
}

macro_rules! secured_handlers {
    ($($rest:ident),*) => {
        impl<F, Fut, S, P, $($rest),*> Secured<(S, Caller<P>, $($rest,)*)> for F
        where
            F: Fn(S, Caller<P>, $($rest),*) -> Fut,
            P: Policy,
        {
            type Policy = P;
        }
    };
}

secured_handlers!();
secured_handlers!(A);
secured_handlers!(A, B);
secured_handlers!(A, B, C);

/// Adds what every secured route has in common to a route: who may call it, and the responses to all others.
pub(crate) fn secure<H, T>(
    _: H,
    (schemas, mut paths, router): UtoipaMethodRouter<App>,
    server: &ResourceServer,
) -> UtoipaMethodRouter<App>
where
    H: Secured<T>,
{
    let ways = server.alternatives::<H::Policy>();
    for operation in paths.paths.values_mut().flat_map(operations) {
        demand(operation, &ways);
    }
    (schemas, paths, router)
}

fn demand(operation: &mut Operation, ways: &[Alternative]) {
    let security = ways.iter().map(|way| SecurityRequirement::new(COGNITO, way.scopes.iter().copied()));
    operation.security = Some(security.collect());
    add(operation, StatusCode::BAD_REQUEST, "The request cannot be read");
    let unauthorized = if ways.iter().any(|way| way.max_age.is_some()) {
        "There is no valid access token, or the sign-in is too old; see `max_age` in the challenge"
    } else {
        "There is no valid access token"
    };
    add(operation, StatusCode::UNAUTHORIZED, unauthorized);
    add(operation, StatusCode::TOO_MANY_REQUESTS, "The caller has made too many requests");
    if operation.request_body.is_some() {
        add(operation, StatusCode::PAYLOAD_TOO_LARGE, "The body is too large");
        add(operation, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body has another media type");
        add(operation, StatusCode::UNPROCESSABLE_ENTITY, "The body has another shape; see `errors`");
    }
    let needs: Vec<_> = ways.iter().map(describe).filter(|way| !way.is_empty()).collect();
    if !needs.is_empty() {
        let needs = needs.join(", or ");
        add(operation, StatusCode::FORBIDDEN, &format!("The caller lacks something. Needed: {needs}"));
        let description = operation.description.take().map(|text| format!("{text}\n\n")).unwrap_or_default();
        operation.description = Some(format!("{description}Needs {needs}."));
    }
}

/// Documents an error answer that many routes have, unless the route says something of its own about it.
pub(super) fn add(operation: &mut Operation, status: StatusCode, description: &str) {
    let responses = &mut operation.responses.responses;
    responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(problem_response(description)));
}

fn problem_response(description: &str) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}
