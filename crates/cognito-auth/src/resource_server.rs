//! The resource server: from the headers of a request to a caller who may go on, with any HTTP framework.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::request::Parts;

use crate::access_token::AccessToken;
use crate::bearer::{Malformed, bearer_token};
use crate::error::{BuildError, VerifyError};
use crate::json::excerpt;
use crate::policy::Policy;
use crate::rejection::{AuthRejection, RejectionKind, ResponseSettings};
use crate::requirements::{Alternative, Requirements, Subject};
use crate::verifier::Verifier;

/// An OAuth 2.0 resource server: a [`Verifier`] plus what its responses to rejected requests contain. Cloning it is
/// cheap.
///
/// An application with an extractor of its own composes it from [`authenticate_request`](Self::authenticate_request)
/// and [`authorize`](Self::authorize), with for example a rate limit between the two.
///
/// ```
/// use cognito_auth::{AccessToken, AuthRejection, ResourceServer, scope};
/// use http::HeaderMap;
///
/// scope!(ItemsRead = "items/read");
///
/// async fn caller(server: &ResourceServer, headers: &HeaderMap) -> Result<AccessToken, AuthRejection> {
///     let token = server.authenticate(headers).await?;
///     server.authorize::<ItemsRead>(&token)?;
///     Ok(token)
/// }
/// ```
#[derive(Clone)]
pub struct ResourceServer(Arc<Inner>);

struct Inner {
    verifier: Verifier,
    checks_scopes: bool,
    resource: Option<String>,
    recent_sign_in: Option<Duration>,
    responses: ResponseSettings,
}

/// Configures a [`ResourceServer`]. Created by [`ResourceServer::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ResourceServerBuilder {
    verifier: Verifier,
    checks_scopes: bool,
    recent_sign_in: Option<Duration>,
    realm: Option<String>,
    resource_metadata: Option<String>,
    problem_details: bool,
    resource: Option<String>,
    scopes: Option<String>,
}

impl ResourceServer {
    /// Creates a resource server that checks scopes and whose challenges name neither a realm nor metadata.
    #[must_use]
    pub fn new(verifier: Verifier) -> Self {
        Self(Arc::new(Inner {
            verifier,
            checks_scopes: true,
            resource: None,
            recent_sign_in: None,
            responses: ResponseSettings::default(),
        }))
    }

    /// Configures a resource server that accepts the tokens of this verifier.
    pub fn builder(verifier: Verifier) -> ResourceServerBuilder {
        ResourceServerBuilder {
            verifier,
            checks_scopes: true,
            recent_sign_in: None,
            realm: None,
            resource_metadata: None,
            problem_details: false,
            resource: None,
            scopes: None,
        }
    }

    /// Returns the verifier.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// Whether policies check scopes; `false` after [`ResourceServerBuilder::without_scope_checks`].
    #[must_use]
    pub fn checks_scopes(&self) -> bool {
        self.0.checks_scopes
    }

    /// Lists all ways to fulfil the policy `P` on this server, for documents: scopes only if they are checked, and a
    /// recent sign-in with its maximum age.
    #[must_use]
    pub fn alternatives<P: Policy>(&self) -> Vec<Alternative> {
        P::REQUIREMENTS.enforced_alternatives(self.0.checks_scopes, self.0.recent_sign_in)
    }

    /// Verifies the access token in the `Authorization` header of a request. It reads no other part of the request.
    ///
    /// # Errors
    ///
    /// [`AuthRejection`] of the kind [`MissingToken`](RejectionKind::MissingToken) if there is none,
    /// [`InvalidRequest`](RejectionKind::InvalidRequest) if the header occurs twice or cannot be parsed, and otherwise
    /// with the [`VerifyError`](crate::VerifyError) as its source.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<AccessToken, AuthRejection> {
        let reject = |kind| AuthRejection::new(kind, &self.0.responses);
        let raw = bearer_token(headers).map_err(|Malformed| reject(RejectionKind::InvalidRequest))?;
        let raw = raw.ok_or_else(|| reject(RejectionKind::MissingToken))?;
        let outcome = self.0.verifier.verify_access(raw).await;
        let outcome = outcome.and_then(|token| self.check_resource(&token).map(|()| token));
        outcome.map_err(|error| AuthRejection::invalid(error, &self.0.responses))
    }

    /// The verifier accepts the tokens of all its resources; this server may be only one of them.
    fn check_resource(&self, token: &AccessToken) -> Result<(), VerifyError> {
        match (token.audience(), &self.0.resource) {
            (Some(audience), Some(resource)) if audience != resource => {
                Err(VerifyError::Audience { found: excerpt(audience) })
            }
            _ => Ok(()),
        }
    }

    /// Does the same as [`authenticate`](Self::authenticate), but only once per request: the outcome is kept in the
    /// request's extensions, where later extractors and layers find it.
    ///
    /// A kept outcome is used only by the resource server that stored it, and only while the `Authorization` header is
    /// unchanged, so routers with other resource servers and layers that change the header can share a request.
    ///
    /// # Errors
    ///
    /// As [`authenticate`](Self::authenticate).
    pub async fn authenticate_request(&self, parts: &mut Parts) -> Result<AccessToken, AuthRejection> {
        if let Some(known) = parts.extensions.get::<Authentication>()
            && known.applies_to(self, &parts.headers)
        {
            return known.outcome.clone();
        }
        let outcome = self.authenticate(&parts.headers).await;
        let header = parts.headers.get(AUTHORIZATION).cloned();
        parts.extensions.insert(Authentication { server: self.clone(), header, outcome: outcome.clone() });
        outcome
    }

    /// Checks that the caller fulfils the policy `P`.
    ///
    /// # Errors
    ///
    /// [`AuthRejection`] of the kind [`InsufficientAuthentication`](RejectionKind::InsufficientAuthentication) if the
    /// user must sign in again, [`InsufficientScope`](RejectionKind::InsufficientScope) if a scope is missing, and
    /// [`Forbidden`](RejectionKind::Forbidden) if a group or another condition is. [`AuthRejection::unmet`] lists what
    /// is missing.
    pub fn authorize<P: Policy>(&self, token: &AccessToken) -> Result<(), AuthRejection> {
        self.check(&P::REQUIREMENTS, token)
    }

    pub(crate) fn check(
        &self,
        requirements: &Requirements,
        token: &AccessToken,
    ) -> Result<(), AuthRejection> {
        let Inner { checks_scopes, recent_sign_in, .. } = *self.0;
        let subject = Subject { token, checks_scopes, recent_sign_in, now: self.0.verifier.earliest_time() };
        if requirements.hold_for(subject) {
            return Ok(());
        }
        let unmet = requirements.unmet_by(subject);
        tracing::debug!(%requirements, ?unmet, "the caller does not fulfil the policy");
        Err(AuthRejection::denied(requirements, unmet, &self.0.responses))
    }
}

impl ResourceServerBuilder {
    /// Lets policies pass whatever scopes they require; their other requirements still hold.
    ///
    /// For pools without a resource server, and for clients that sign in through the SDK, whose tokens carry no custom
    /// scopes. Every signed-in user can then do what scopes alone protect.
    pub fn without_scope_checks(mut self) -> Self {
        self.checks_scopes = false;
        self
    }

    /// Sets how long after a sign-in it counts as recent, for the policy [`RecentSignIn`](crate::RecentSignIn). Whole
    /// seconds count. Default: any sign-in is recent.
    pub fn recent_sign_in(mut self, max_age: Duration) -> Self {
        self.recent_sign_in = Some(max_age);
        self
    }

    /// Sets the `realm` of challenges (RFC 9110, section 11.5): printable ASCII without `"` and `\`. Default: none.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Sets the URL of the protected resource metadata that challenges name (RFC 9728, section 5.1). Default: none.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.resource_metadata = Some(url.into());
        self
    }

    /// Makes the bodies of responses problem documents (RFC 9457) instead of plain text.
    pub fn problem_details(mut self) -> Self {
        self.problem_details = true;
        self
    }

    /// Sets the one resource that this server is, of those that the verifier accepts
    /// ([`VerifierBuilder::resources`](crate::VerifierBuilder::resources)). Tokens that are bound to another one are
    /// rejected; tokens without `aud` are not bound. Default: any resource of the verifier.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Sets the scopes that a 401 names, so that the client asks for them when it signs the user in (RFC 6750, section
    /// 3). Default: none.
    pub fn challenge_scopes<'a>(mut self, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        let scopes = scopes.into_iter().collect::<Vec<_>>().join(" ");
        self.scopes = Some(scopes).filter(|scopes| !scopes.is_empty());
        self
    }

    /// Creates the resource server.
    ///
    /// # Errors
    ///
    /// [`BuildError::HeaderValue`] if the realm, the metadata URL or a scope does not fit into a header.
    pub fn build(self) -> Result<ResourceServer, BuildError> {
        let Self { verifier, checks_scopes, resource, recent_sign_in, .. } = self;
        let (realm, metadata, scopes) = (self.realm, self.resource_metadata, self.scopes);
        let responses = ResponseSettings::new(
            realm.as_deref(),
            metadata.as_deref(),
            scopes.as_deref(),
            self.problem_details,
        )?;
        Ok(ResourceServer(Arc::new(Inner { verifier, checks_scopes, resource, recent_sign_in, responses })))
    }
}

/// The outcome of a request's authentication, as its extensions keep it.
#[derive(Clone)]
struct Authentication {
    server: ResourceServer,
    header: Option<HeaderValue>,
    outcome: Result<AccessToken, AuthRejection>,
}

impl Authentication {
    fn applies_to(&self, server: &ResourceServer, headers: &HeaderMap) -> bool {
        Arc::ptr_eq(&self.server.0, &server.0) && headers.get_all(AUTHORIZATION).iter().eq(&self.header)
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer")
            .field("verifier", &self.0.verifier)
            .field("checks_scopes", &self.0.checks_scopes)
            .field("recent_sign_in", &self.0.recent_sign_in)
            .finish_non_exhaustive()
    }
}
