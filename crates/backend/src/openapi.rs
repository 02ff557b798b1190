//! The OpenAPI document, made from the handlers themselves.
//!
//! The policy of an operation is not written down a second time: [`secure`] reads it from the handler's signature, so
//! the document always says what is enforced.

mod security;

pub(crate) mod page;

use http::StatusCode;
use url::Url;
use utoipa::openapi::{
    Components, Content, OpenApi, RefOr, Schema,
    path::Operation,
    security::{AuthorizationCode, Flow, Http, HttpAuthScheme, OAuth2, Scopes, SecurityScheme},
};

pub(crate) use self::security::secure;
use self::security::{COGNITO, add, operations};
use crate::{Config, auth::sign_in_scopes, models::owner::UserSub, problem::ProblemBody};

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
    components(schemas(ProblemBody, UserSub))
)]
pub(crate) struct Document;

/// Completes the document with what this server's configuration says.
pub(crate) fn complete(document: &mut OpenApi, config: &Config) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        add(operation, StatusCode::INTERNAL_SERVER_ERROR, "The server made a mistake");
        add(
            operation,
            StatusCode::SERVICE_UNAVAILABLE,
            "The server cannot do this right now; see `Retry-After`",
        );
        describe_responses(operation);
    }
    let components = document.components.get_or_insert_default();
    let scheme = match &config.cognito.domain {
        Some(domain) => hosted_ui(domain, config),
        None => SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    };
    components.add_security_scheme(COGNITO, scheme);
    limit_size(components, config.attachments.max_bytes);
}

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

/// Gives every error its media type, as an attribute on a handler names the shape of the body only, and every answer a
/// description, as the specification asks for one.
fn describe_responses(operation: &mut Operation) {
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
