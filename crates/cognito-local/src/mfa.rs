//! Multi-factor authentication with time-based codes of six digits (RFC 6238), which is Cognito's TOTP factor.

use aws_lc_rs::hmac;
use rusqlite::Connection;
use totp_rs::{Builder, Secret, Totp};

use crate::attempt::{CodeOutcome, check_code};
use crate::clock::Clock;
use crate::config::Mfa;
use crate::models::{User, UserStatus};
use crate::secret::{random_key, token_digest};
use crate::store::{Store, StoreError, users};

/// The authenticator apps of the pool's users.
#[derive(Clone)]
pub(crate) struct SecondFactor {
    store: Store,
    clock: Clock,
    mode: Mfa,
    key: hmac::Key,
    pool_id: String,
}

/// What a sign-in still needs after the right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A password instead of the temporary one.
    SetPassword,
    /// A code of the app.
    EnterCode,
    /// The user has no app yet, and the pool requires one.
    SetUpApp,
}

/// An authenticator app that a user is setting up. Its secret is derived from that of the browser, so that a reloaded
/// page shows the same one, and nothing is stored before the first right code.
pub(crate) struct Enrolment {
    totp: Totp,
}

impl Enrolment {
    /// Returns the secret in groups of four letters, for typing.
    pub(crate) fn secret_text(&self) -> String {
        let text = self.totp.secret().to_base32();
        text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
    }

    /// Returns the `otpauth:` address, for an app on the same device.
    pub(crate) fn address(&self) -> Option<String> {
        self.totp.to_url().ok()
    }
}

impl SecondFactor {
    pub(crate) fn new(store: Store, clock: Clock, mode: Mfa, key: hmac::Key, pool_id: String) -> Self {
        Self { store, clock, mode, key, pool_id }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.mode == Mfa::Off
    }

    /// Returns the step that a sign-in of `user` needs after the right password.
    pub(crate) fn next_step(&self, user: &User) -> Option<Step> {
        if user.status == UserStatus::ForceChangePassword {
            return Some(Step::SetPassword);
        }
        match (self.mode, &user.totp_secret) {
            (Mfa::Required, Some(_)) => Some(Step::EnterCode),
            (Mfa::Required, None) => Some(Step::SetUpApp),
            (Mfa::Optional, Some(_)) if user.totp_enabled => Some(Step::EnterCode),
            (Mfa::Off | Mfa::Optional, _) => None,
        }
    }

    /// Returns the app that `user` can set up in the browser with this secret.
    pub(crate) fn enrolment(&self, user: &User, browser_secret: &str) -> Enrolment {
        let derived = hmac::sign(&self.key, format!("totp:{browser_secret}").as_bytes());
        let secret: [u8; 20] = std::array::from_fn(|index| derived.as_ref()[index]);
        Enrolment { totp: totp(&secret, &user.username, &self.pool_id) }
    }

    /// Sets up the app of a signed-in user with its first code.
    pub(crate) async fn set_up(
        &self,
        sub: &str,
        enrolment: Enrolment,
        code: &str,
    ) -> Result<CodeOutcome, StoreError> {
        let (sub, code, now_ms) = (sub.to_owned(), code.to_owned(), self.clock.unix_millis());
        self.store
            .write(move |tx| match users::find_by_sub(tx, &sub)? {
                Some(user) => check_app_code(tx, &user, &code, Some(&enrolment), now_ms),
                None => Ok(CodeOutcome::Wrong),
            })
            .await
    }
}

/// Checks a code of the user's app, or of the app that the user is setting up, in the caller's transaction. An enrolment
/// never replaces an existing app.
pub(crate) fn check_app_code(
    tx: &Connection,
    user: &User,
    code: &str,
    enrolment: Option<&Enrolment>,
    now_ms: i64,
) -> Result<CodeOutcome, StoreError> {
    let totp = match (&user.totp_secret, enrolment) {
        (Some(secret), None) => Some(totp(secret, &user.username, "")),
        (None, Some(enrolment)) => Some(enrolment.totp.clone()),
        _ => None,
    };
    let outcome = check_totp(tx, user, totp.as_ref(), code, now_ms)?;
    if outcome == CodeOutcome::Accepted && enrolment.is_some() {
        users::enable_totp(tx, &user.sub)?;
    }
    Ok(outcome)
}

/// Checks the first code of an app with this secret, and registers the app when it is right. It replaces an existing one.
pub(crate) fn register_app(
    tx: &Connection,
    user: &User,
    secret: &[u8],
    code: &str,
    now_ms: i64,
) -> Result<CodeOutcome, StoreError> {
    check_totp(tx, user, Some(&totp(secret, &user.username, "")), code, now_ms)
}

/// Each code works once (RFC 6238, section 5.2): one that has been used is expired.
fn check_totp(
    tx: &Connection,
    user: &User,
    totp: Option<&Totp>,
    code: &str,
    now_ms: i64,
) -> Result<CodeOutcome, StoreError> {
    let subject = token_digest(&format!("totp:{}", user.sub));
    let mut used_before = false;
    let outcome = check_code(tx, &subject, now_ms, || {
        let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
        let step = totp.and_then(|totp| totp.check(code, seconds)).and_then(|step| i64::try_from(step).ok());
        let (Some(totp), Some(step)) = (totp, step) else { return Ok(false) };
        let secret = totp.secret();
        let same_app = user.totp_secret.as_deref() == Some(secret.as_ref());
        used_before = same_app && step <= users::totp_last_step(tx, &user.sub)?;
        if !used_before {
            users::set_totp(tx, &user.sub, secret.as_ref(), step)?;
        }
        Ok(!used_before)
    })?;
    Ok(if outcome == CodeOutcome::Wrong && used_before { CodeOutcome::Expired } else { outcome })
}

/// Returns a secret for an authenticator app, of the length that Cognito's have.
pub(crate) fn new_app_secret() -> Result<Vec<u8>, StoreError> {
    Ok(random_key()?)
}

/// Six digits, 30 seconds, SHA-1 and one step of tolerance to either side, as every authenticator app expects.
fn totp(secret: &[u8], username: &str, pool_id: &str) -> Totp {
    // A colon would end the account name in the `otpauth:` address.
    Builder::new()
        .with_secret(Secret::from(secret))
        .with_account_name(username.replace(':', "_"))
        .with_issuer(Some(format!("Local pool {pool_id}")))
        .build_noncompliant()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_match_rfc_6238() {
        // Appendix B, SHA-1, at 59 s: the last six of eight digits.
        let totp = totp(b"12345678901234567890", "alice", "us-east-1_LocalPool");
        assert_eq!(totp.check("287082", 59), Some(1));
        assert_eq!(totp.check("287082", 59 + 30), Some(1));
        assert_eq!(totp.check("287082", 59 + 61), None);
        assert_eq!(
            totp.to_url().unwrap(),
            "otpauth://totp/Local%20pool%20us-east-1_LocalPool:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Local%20pool%20us-east-1_LocalPool"
        );
    }
}
