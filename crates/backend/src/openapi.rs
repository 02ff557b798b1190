//! The OpenAPI document, made from the handlers themselves, and the page that shows it.
//!
//! What an operation demands of its caller is not written down a second time: `secured!` reads it from the policy in the
//! handler's signature, so the document cannot say anything else than what is enforced.

use cognito_auth::{Policy, Scope, policy::Alternative};
use http::StatusCode;
use url::Url;
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, Content, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
        path::{Operation, PathItem},
        security::{
            AuthorizationCode, Flow, Http, HttpAuthScheme, OAuth2, Scopes, SecurityRequirement,
            SecurityScheme,
        },
    },
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    App, Config,
    auth::{Caller, ItemsRead, ItemsWrite},
    problem::ProblemBody,
    routes::{admin, attachments, health, items, metadata, users},
};

mod page;

pub use page::documentation;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Items",
        description = "Keeps each user's items. Sign in with Amazon Cognito and send the access token as \
                       `Authorization: Bearer …`. Every error is a problem document (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "items", description = "Each user has their own"),
        (name = "attachments", description = "Files that belong to an item; their bytes go between the caller and S3"),
        (name = "users", description = "The caller themselves"),
        (name = "administration", description = "What the group `admins` may do"),
        (name = "health", description = "For supervisors and balancers"),
        (name = "documentation", description = "How to use this API"),
    ),
    components(schemas(ProblemBody, admin::UserSub))
)]
struct Document;

/// The scopes of this API with what they allow.
pub fn scopes() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        (ItemsRead::NAME, "Read items, attachments and the profile"),
        (ItemsWrite::NAME, "Create, change and delete items, attachments and the profile"),
    ]
    .into_iter()
}

/// The routes of the API with their part of the document, which speaks of scopes if they are checked.
pub fn routes(checks_scopes: bool) -> OpenApiRouter<App> {
    /// A handler with its part of the document, and with what it demands of its caller added to it.
    macro_rules! secured {
        ($($handler:tt)+) => { secure($($handler)+, routes!($($handler)+), checks_scopes) };
    }
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(secured!(users::show_current_user))
        .routes(secured!(users::show_profile))
        .routes(secured!(users::replace_profile))
        .routes(secured!(users::delete_profile))
        .routes(secured!(items::list_items))
        .routes(secured!(items::create_item))
        .routes(secured!(items::show_item))
        .routes(secured!(items::replace_item))
        .routes(secured!(items::update_item))
        .routes(secured!(items::delete_item))
        .routes(secured!(attachments::create_attachment))
        .routes(secured!(attachments::list_attachments))
        .routes(secured!(attachments::show_attachment))
        .routes(secured!(attachments::delete_attachment))
        .routes(secured!(admin::list_user_items))
        .routes(secured!(admin::delete_user_item))
        .routes(routes!(metadata::show_resource_metadata))
}

/// The routes for supervisors and balancers.
pub fn health_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::check_liveness)).routes(routes!(health::check_readiness))
}

/// The document as this server serves it.
pub fn finish(document: &mut OpenApi, config: &Config) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        add(operation, StatusCode::INTERNAL_SERVER_ERROR, "The server made a mistake");
        add(
            operation,
            StatusCode::SERVICE_UNAVAILABLE,
            "The server cannot do this right now; see `Retry-After`",
        );
        complete(operation);
    }
    let components = document.components.get_or_insert_default();
    let scheme = match &config.cognito.domain {
        Some(domain) => hosted_ui(domain, config),
        None => SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    };
    components.add_security_scheme(COGNITO, scheme);
    limit_size(components, config.attachments.max_bytes);
}

/// What the page asks for when it signs in: the scopes that routes demand, if they do.
fn sign_in_scopes(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    let demanded = scopes().filter(|_| config.cognito.require_scopes);
    std::iter::once(("openid", "Know who you are")).chain(demanded)
}

/// The name of the one security scheme: sign-in on the hosted UI where there is one, else a token from elsewhere.
const COGNITO: &str = "cognito";

/// Sign-in through Cognito's hosted UI: authorization code with PKCE.
fn hosted_ui(domain: &Url, config: &Config) -> SecurityScheme {
    let domain = domain.as_str().trim_end_matches('/');
    let flow = AuthorizationCode::new(
        format!("{domain}/oauth2/authorize"),
        format!("{domain}/oauth2/token"),
        Scopes::from_iter(sign_in_scopes(config)),
    );
    SecurityScheme::OAuth2(OAuth2::new([Flow::AuthorizationCode(flow)]))
}

/// A handler that takes a [`Caller`], alone or behind its state, and with it the policy that it names.
pub trait Secured<Arguments> {
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

/// Adds what every secured route has in common to a route: who may call it, and the answers to those who may not.
fn secure<H, T>(
    _: H,
    (schemas, mut paths, router): UtoipaMethodRouter<App>,
    checks_scopes: bool,
) -> UtoipaMethodRouter<App>
where
    H: Secured<T>,
{
    let mut ways = H::Policy::REQUIREMENTS.alternatives();
    if !checks_scopes {
        ways.iter_mut().for_each(|way| way.scopes.clear());
    }
    for operation in paths.paths.values_mut().flat_map(operations) {
        demand(operation, &ways);
    }
    (schemas, paths, router)
}

fn demand(operation: &mut Operation, ways: &[Alternative]) {
    let security = ways.iter().map(|way| SecurityRequirement::new(COGNITO, way.scopes.iter().copied()));
    operation.security = Some(security.collect());
    add(operation, StatusCode::BAD_REQUEST, "The request cannot be read");
    add(operation, StatusCode::UNAUTHORIZED, "There is no valid access token");
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

/// One way to fulfil a policy, in words.
pub(crate) fn describe(way: &Alternative) -> String {
    let scopes = way.scopes.iter().map(|scope| format!("the scope `{scope}`"));
    let groups = way.groups.iter().map(|group| format!("the group `{group}`"));
    let conditions = way.conditions.iter().map(|condition| (*condition).to_owned());
    scopes.chain(groups).chain(conditions).collect::<Vec<_>>().join(" and ")
}

/// Documents an error answer that many routes have, unless the route says something of its own about it.
fn add(operation: &mut Operation, status: StatusCode, description: &str) {
    let responses = &mut operation.responses.responses;
    responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(problem_response(description)));
}

fn problem_response(description: &str) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Gives every error its media type, as an attribute on a handler names the shape of the body only, and every answer a
/// description, as the specification asks for one.
fn complete(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let status = StatusCode::from_bytes(status.as_bytes()).ok();
            response.description =
                status.and_then(|status| status.canonical_reason()).unwrap_or_default().to_owned();
        }
        if response.content.get("application/json").is_some_and(is_problem)
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
}

/// How large an attachment may be is a matter of configuration.
fn limit_size(components: &mut Components, max_bytes: u64) {
    if let Some(RefOr::T(Schema::Object(attachment))) = components.schemas.get_mut("NewAttachment")
        && let Some(RefOr::T(Schema::Object(size))) = attachment.properties.get_mut("size")
    {
        size.maximum = Some(utoipa::Number::UInt(usize::try_from(max_bytes).unwrap_or(usize::MAX)));
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(content) = content else { return false };
    matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.ends_with("/Problem"))
}
