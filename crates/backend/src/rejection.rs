//! Why requests are rejected: by the caller's token, or by a limit.

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use cognito_auth::{AuthRejection, KeySetError, RejectionKind, VerifyError};

/// The reason for a rejection, as metrics and the log name it. None of them is a fault of the server, even if the status
/// is 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// 401: there is no token.
    MissingToken,
    /// 400: the `Authorization` header cannot be parsed.
    InvalidCredentials,
    /// 401: the token is not valid here.
    InvalidToken,
    /// 401: the token has expired.
    ExpiredToken,
    /// 401: the token's subject has signed out.
    RevokedToken,
    /// 401: the sign-in is too old for this route.
    OldSignIn,
    /// 403: the token lacks a scope.
    InsufficientScope,
    /// 403: the caller is not in the group.
    Forbidden,
    /// 503: the token names a key that may be new; the next fetch of the key set decides.
    PendingKey,
    /// 429: the caller's rate limit is exhausted.
    RateLimit,
    /// 429: the caller has too many requests running.
    ConcurrentRequests,
    /// 429: the address sent too many rejected requests.
    AddressLimit,
    /// 503: all connections are taken.
    Connections,
    /// 429 or 503: there is no memory for another large body, of this client or at all.
    LargeBodies,
    /// 503: all slots are taken.
    Overload,
}

impl Reason {
    /// All reasons, in the order of their declaration.
    const ALL: [Self; 15] = [
        Self::MissingToken,
        Self::InvalidCredentials,
        Self::InvalidToken,
        Self::ExpiredToken,
        Self::RevokedToken,
        Self::OldSignIn,
        Self::InsufficientScope,
        Self::Forbidden,
        Self::PendingKey,
        Self::RateLimit,
        Self::ConcurrentRequests,
        Self::AddressLimit,
        Self::Connections,
        Self::LargeBodies,
        Self::Overload,
    ];

    /// Returns the reason of a rejected caller, or `None` if the server is at fault: it has no keys.
    pub(crate) fn of(rejection: &AuthRejection) -> Option<Self> {
        Some(match rejection.kind() {
            RejectionKind::MissingToken => Self::MissingToken,
            RejectionKind::InvalidRequest => Self::InvalidCredentials,
            RejectionKind::InvalidToken if is_revoked(rejection) => Self::RevokedToken,
            RejectionKind::InvalidToken => Self::InvalidToken,
            RejectionKind::ExpiredToken => Self::ExpiredToken,
            RejectionKind::InsufficientAuthentication => Self::OldSignIn,
            RejectionKind::InsufficientScope => Self::InsufficientScope,
            RejectionKind::KeysUnavailable if is_pending(rejection) => Self::PendingKey,
            RejectionKind::KeysUnavailable => return None,
            // `Forbidden`. Kinds that the library may add are conditions of policies, too.
            _ => Self::Forbidden,
        })
    }

    /// Returns the name in metrics and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidCredentials => "invalid_credentials",
            Self::InvalidToken => "invalid_token",
            Self::ExpiredToken => "expired_token",
            Self::RevokedToken => "revoked_token",
            Self::OldSignIn => "old_sign_in",
            Self::InsufficientScope => "insufficient_scope",
            Self::Forbidden => "forbidden",
            Self::PendingKey => "pending_key",
            Self::RateLimit => "rate_limit",
            Self::ConcurrentRequests => "concurrent_requests",
            Self::AddressLimit => "address_limit",
            Self::Connections => "connections",
            Self::LargeBodies => "large_bodies",
            Self::Overload => "overload",
        }
    }
}

fn is_revoked(rejection: &AuthRejection) -> bool {
    causes(rejection).any(|cause| matches!(cause.downcast_ref(), Some(VerifyError::DenyListed)))
}

fn is_pending(rejection: &AuthRejection) -> bool {
    causes(rejection).any(|cause| matches!(cause.downcast_ref(), Some(KeySetError::FetchPending { .. })))
}

fn causes(rejection: &AuthRejection) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(rejection.source(), |cause| (*cause).source())
}

/// Lets one rejection per second and reason into the log, so that nobody can fill it, and counts the others.
#[derive(Debug)]
pub(crate) struct Sampler {
    started: Instant,
    samples: [Sample; Reason::ALL.len()],
}

#[derive(Debug, Default)]
struct Sample {
    /// The second of the last line, counted from 1; 0 before the first.
    second: AtomicU64,
    left_out: AtomicU64,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), samples: Reason::ALL.map(|_| Sample::default()) }
    }

    /// Returns how many rejections were left out since the last line, if this one gets a line.
    pub(crate) fn sample(&self, reason: Reason) -> Option<u64> {
        self.sample_at(reason, self.started.elapsed().as_secs() + 1)
    }

    fn sample_at(&self, reason: Reason, second: u64) -> Option<u64> {
        let sample = self.samples.get(reason as usize)?;
        if sample.second.swap(second, Ordering::Relaxed) == second {
            sample.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(sample.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_place_and_a_name_of_its_own() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
        }
        assert_eq!(BTreeSet::from(Reason::ALL.map(Reason::name)).len(), Reason::ALL.len());
    }

    #[test]
    fn one_rejection_a_second_and_reason_is_logged_with_the_number_left_out() {
        let sampler = Sampler::new();
        let lines = [1, 1, 1, 2, 9].map(|second| sampler.sample_at(Reason::Overload, second));
        assert_eq!(lines, [Some(0), None, None, Some(2), Some(0)]);
        assert_eq!(sampler.sample_at(Reason::Forbidden, 9), Some(0), "another reason is counted separately");
    }
}
