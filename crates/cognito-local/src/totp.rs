//! Authenticator apps: time-based codes of six digits (RFC 6238), as Cognito's TOTP factor.

use aws_lc_rs::hmac;
use qrcode::{Color, EcLevel, QrCode};
use rusqlite::Connection;
use totp_rs::{Builder, Secret, Totp};

use crate::account::CodeOutcome;
use crate::pool::LocalPool;
use crate::secret::{random_token, token_digest};
use crate::sign_in::SESSION_SECONDS;
use crate::store::sessions::{self, Session};
use crate::store::users::{self, User};
use crate::store::{StoreError, challenges, throttle};

/// How long the second step of a sign-in may take. Long enough to install an app when one has to be set up.
pub(crate) const CHALLENGE_SECONDS: i64 = 10 * 60;

/// An authenticator app that is being set up: its secret is derived from that of the browser, so that reloading the page
/// shows the same one and nothing is stored before the first code was right.
pub(crate) struct Enrolment {
    totp: Totp,
}

/// What answers a challenge.
pub(crate) enum Answered {
    SignedIn { token: String, session: Session },
    Refused(CodeOutcome),
}

impl Enrolment {
    pub(crate) fn new(pool: &LocalPool, user: &User, browser_secret: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, pool.form_secret());
        let derived = hmac::sign(&key, format!("totp:{browser_secret}").as_bytes());
        let secret: [u8; 20] = std::array::from_fn(|index| derived.as_ref()[index]);
        Self { totp: totp(&secret, &user.username, pool.pool_id()) }
    }

    /// For those who cannot scan: the secret in groups of four letters.
    pub(crate) fn secret_text(&self) -> String {
        let text = self.totp.secret().to_base32();
        text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
    }

    /// The `otpauth:` address, for an app on the same device.
    pub(crate) fn address(&self) -> Option<String> {
        self.totp.to_url().ok()
    }

    pub(crate) fn qr_code(&self) -> Option<QrPicture> {
        QrPicture::new(&self.address()?)
    }
}

/// A QR code as the path of an SVG picture.
pub(crate) struct QrPicture {
    pub(crate) size: usize,
    pub(crate) path: String,
}

impl QrPicture {
    /// Modules around the code (ISO/IEC 18004: the quiet zone is four wide).
    const MARGIN: usize = 4;

    fn new(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let path = dark
            .map(|(index, _)| {
                let (x, y) = (index % width + Self::MARGIN, index / width + Self::MARGIN);
                format!("M{x} {y}h1v1h-1z")
            })
            .collect();
        Some(Self { size: width + 2 * Self::MARGIN, path })
    }
}

impl LocalPool {
    /// Starts the second step of a sign-in, and returns the secret that the browser keeps for it.
    pub(crate) async fn start_challenge(&self, user: &User) -> Result<String, StoreError> {
        let token = random_token()?;
        let (digest, user, now) = (token_digest(&token), user.clone(), self.clock().unix_seconds());
        self.store()
            .write(move |tx| challenges::insert(tx, &digest, &user, now, now + CHALLENGE_SECONDS))
            .await?;
        Ok(token)
    }

    /// The user whose sign-in this browser has begun.
    pub(crate) async fn challenged_user(&self, token: &str) -> Result<Option<User>, StoreError> {
        let (digest, now) = (token_digest(token), self.clock().unix_seconds());
        self.store()
            .read(move |db| match challenges::find_sub(db, &digest, now)? {
                Some(sub) => users::find_by_sub(db, &sub),
                None => Ok(None),
            })
            .await
    }

    /// Completes a sign-in with a code of the user's app, or of the one that is being set up.
    pub(crate) async fn answer_challenge(
        &self,
        challenge: &str,
        code: &str,
        enrolment: Option<Enrolment>,
    ) -> Result<Answered, StoreError> {
        let (digest, code, token) = (token_digest(challenge), code.to_owned(), random_token()?);
        let (session_digest, now_ms) = (token_digest(&token), self.clock().unix_millis());
        self.store()
            .write(move |tx| {
                let now = now_ms / 1000;
                let user = challenges::find_sub(tx, &digest, now)?.map(|sub| users::find_by_sub(tx, &sub));
                let Some(user) = user.transpose()?.flatten() else {
                    return Ok(Answered::Refused(CodeOutcome::Wrong));
                };
                match judge_code(tx, &user, &code, enrolment.as_ref(), now_ms)? {
                    CodeOutcome::Accepted => {
                        challenges::delete(tx, &digest)?;
                        let session = Session { sub: user.sub, generation: user.generation, auth_time: now };
                        sessions::insert(tx, &session_digest, &session, now + SESSION_SECONDS)?;
                        Ok(Answered::SignedIn { token, session })
                    }
                    refused => Ok(Answered::Refused(refused)),
                }
            })
            .await
    }

    /// Sets up the app of a user who is signed in.
    pub(crate) async fn enrol(
        &self,
        sub: &str,
        enrolment: Enrolment,
        code: &str,
    ) -> Result<CodeOutcome, StoreError> {
        let (sub, code, now_ms) = (sub.to_owned(), code.to_owned(), self.clock().unix_millis());
        self.store()
            .write(move |tx| match users::find_by_sub(tx, &sub)? {
                Some(user) => judge_code(tx, &user, &code, Some(&enrolment), now_ms),
                None => Ok(CodeOutcome::Wrong),
            })
            .await
    }
}

/// Looks, compares and counts in one transaction. An app that is set up is never replaced by an enrolment.
fn judge_code(
    tx: &Connection,
    user: &User,
    code: &str,
    enrolment: Option<&Enrolment>,
    now_ms: i64,
) -> Result<CodeOutcome, StoreError> {
    let subject = token_digest(&format!("totp:{}", user.sub));
    if throttle::is_locked(tx, &subject, now_ms)? {
        return Ok(CodeOutcome::Locked);
    }
    let totp = match (&user.totp_secret, enrolment) {
        (Some(secret), None) => Some(totp(secret, &user.username, "")),
        (None, Some(enrolment)) => Some(enrolment.totp.clone()),
        _ => None,
    };
    let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
    let step =
        totp.as_ref().and_then(|totp| totp.check(code, seconds)).and_then(|step| i64::try_from(step).ok());
    // RFC 6238 §5.2: a code works once.
    let last = users::totp_last_step(tx, &user.sub)?;
    match (totp, step.filter(|step| *step > last)) {
        (Some(totp), Some(step)) => {
            throttle::clear(tx, &subject)?;
            users::set_totp(tx, &user.sub, totp.secret().as_ref(), step)?;
            Ok(CodeOutcome::Accepted)
        }
        _ => {
            throttle::record_failure(tx, &subject, now_ms)?;
            Ok(CodeOutcome::Wrong)
        }
    }
}

/// Six digits, 30 seconds, SHA-1, one step of tolerance to either side: what every authenticator app assumes.
fn totp(secret: &[u8], username: &str, pool_id: &str) -> Totp {
    // A colon would end the account's name in the `otpauth:` address.
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
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1, at 59 s: the last six of the eight digits.
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

    #[test]
    fn the_picture_has_a_quiet_zone_and_the_finder_patterns() {
        let picture = QrPicture::new("otpauth://totp/x?secret=AAAA").unwrap();
        assert!(picture.path.starts_with("M4 4h1v1h-1zM5 4h1v1h-1z"), "{}", &picture.path[..40]);
        assert!(!picture.path.contains("M3 ") && !picture.path.contains(&format!("M{} ", picture.size - 4)));
    }
}
