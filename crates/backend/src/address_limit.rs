//! Limits the rejected requests of each address.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    client_address::client_address,
    config::Limits,
    limit::closing,
    observe::RequestContext,
    problem::Problem,
    rate_limit::{Permit, RateLimiter},
    rejection::Reason,
    server::{AddressBlock, Peer},
};

/// How often a minute one outdated token is rejected at no cost to its address.
///
/// Clients whose token expires find out by a 401, and their neighbors must not prevent that. Only Cognito can make an
/// outdated token, so this does not help those who guess; and the allowance belongs to the token instead of its caller, so
/// somebody who finds an old token cannot use up what its owner's new one needs.
const OUTDATED_PER_MINUTE: u32 = 60;

/// The rejected requests that each address may send without a valid token.
#[derive(Clone)]
pub(crate) struct AddressLimit {
    rejections: RateLimiter<AddressBlock>,
    /// By the hash of the token.
    outdated: RateLimiter<u64>,
    hash: Arc<RandomState>,
    trusted_proxies: usize,
}

impl AddressLimit {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            rejections: RateLimiter::new(limits.rejections_per_minute),
            outdated: RateLimiter::new(OUTDATED_PER_MINUTE),
            hash: Arc::default(),
            trusted_proxies: limits.trusted_proxies,
        }
    }

    /// Hashes the token alone: its scheme can be spelled and spaced in many ways.
    fn hash_of_token(&self, authorization: Option<&HeaderValue>) -> u64 {
        let value = authorization.map(HeaderValue::as_bytes).unwrap_or_default();
        let mut parts = value.rsplit(|byte| byte.is_ascii_whitespace());
        self.hash.hash_one(parts.find(|part| !part.is_empty()))
    }
}

/// Finds the address of the client, and counts rejected requests without a valid token against it. Beyond the limit the
/// response is 429 and the connection is closed. Callers with a valid token are not affected by others at their address.
pub(crate) async fn limit_address(
    State(limit): State<AddressLimit>,
    mut request: Request,
    next: Next,
) -> Response {
    // A Lambda function has no connection; API Gateway limits there.
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return next.run(request).await;
    };
    let address = client_address(request.headers(), peer.ip(), limit.trusted_proxies);
    let address = AddressBlock::from(address);
    request.extensions_mut().insert(address);
    let authorization = request.headers().get(header::AUTHORIZATION).cloned();
    let context = request.extensions().get::<RequestContext>().cloned().unwrap_or_default();
    let response = next.run(request).await;
    let status = response.status();
    // A key ID that nobody knows can be a 503, see `KeySetError::FetchPending`.
    let is_rejection = status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE;
    if !is_rejection || context.has_caller() {
        return response;
    }
    let token = limit.hash_of_token(authorization.as_ref());
    if context.is_token_outdated() && matches!(limit.outdated.check(&token, 1), Permit::Granted(_)) {
        return response;
    }
    match limit.rejections.check(&address, 1) {
        Permit::Refused(_, wait) => {
            let detail = "Too many rejected requests came from your address.";
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds);
            closing(problem.rejection(Reason::AddressLimit))
        }
        Permit::Unlimited | Permit::Granted(_) => response,
    }
}
