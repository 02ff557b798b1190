//! The caller of one MCP request.

use std::sync::{Arc, OnceLock};

use cognito_auth::{AccessToken, Policy};
use http::request::Parts;
use rmcp::{ErrorData, RoleServer, service::RequestContext as McpContext};
use tracing::Span;

use crate::{App, auth, models::owner::Owner, observe::RequestContext, problem::Problem};

/// The caller of one request, and whether they were admitted. A clone is a handle to the same request.
#[derive(Clone)]
pub(super) struct Call(Arc<Inner>);

struct Inner {
    app: App,
    token: AccessToken,
    owner: Owner,
    context: Option<RequestContext>,
    /// `rmcp` runs the operation in a task of its own, whose log lines belong to this request, too.
    span: Span,
    admission: OnceLock<Result<(), Problem>>,
}

impl Call {
    pub(super) fn new(app: App, token: AccessToken, parts: &Parts) -> Self {
        let (owner, context) = (Owner::of(&token), parts.extensions.get().cloned());
        let (span, admission) = (Span::current(), OnceLock::new());
        Self(Arc::new(Inner { app, token, owner, context, span, admission }))
    }

    /// The call that a message arrived with.
    pub(super) fn of(context: &McpContext<RoleServer>) -> Result<&Self, ErrorData> {
        let parts = context.extensions.get::<Parts>();
        let call = parts.and_then(|parts| parts.extensions.get());
        call.ok_or_else(|| ErrorData::internal_error("the request has no caller", None))
    }

    pub(super) fn app(&self) -> &App {
        &self.0.app
    }

    pub(super) fn token(&self) -> &AccessToken {
        &self.0.token
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.0.owner
    }

    pub(super) fn span(&self) -> Span {
        self.0.span.clone()
    }

    /// Charges the rate limit, then checks the policy, as for a route. The error ends the operation; what the client gets
    /// instead is the problem, as the HTTP response.
    pub(super) fn admit<P: Policy>(&self, cost: u32) -> Result<(), ErrorData> {
        let admission = self.0.admission.get_or_init(|| {
            self.charge(cost)?;
            let server = self.0.app.mcp_server().ok_or_else(|| Problem::not_found("endpoint"))?;
            auth::authorize::<P>(server, &self.0.token)
        });
        admission.as_ref().map_err(rejected).copied()
    }

    /// Charges what reached no operation, and returns why the caller was rejected, if so.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        self.0.admission.get_or_init(|| self.charge(1)).clone()
    }

    /// Logs the cause of a problem that becomes part of a message, and counts it if the server is at fault.
    pub(super) fn log(&self, problem: &Problem) {
        problem.log_cause();
        if let Some(context) = self.0.context.as_ref().filter(|_| problem.is_fault()) {
            context.set_fault();
        }
    }

    fn charge(&self, cost: u32) -> Result<(), Problem> {
        auth::charge(&self.0.app, &self.0.owner, cost, self.0.context.as_ref())
    }
}

fn rejected(problem: &Problem) -> ErrorData {
    ErrorData::invalid_request(problem.text().to_owned(), None)
}
