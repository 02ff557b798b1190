//! The sessions between the steps of a sign-in. Each is bound to a client and a user, ends after some minutes, and works
//! once.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::unchanged;
use crate::models::{ApiSession, User};
use crate::refusal::Refusal;
use crate::secret::{random_token, token_digest};
use crate::store::{StoreError, api_sessions, users};

/// The challenge that a session waits for.
#[derive(Serialize, Deserialize)]
pub(super) enum Pending {
    /// The key is the one with which the right client signs, in hexadecimal digits.
    PasswordVerifier {
        key: String,
        user_id: String,
    },
    NewPasswordRequired,
    SoftwareTokenMfa,
    /// The secret of the app, in hexadecimal digits, and whether its first code was right.
    MfaSetup {
        secret: Option<String>,
        verified: bool,
    },
    EmailOtp,
    SelectChallenge,
}

/// A valid session.
pub(super) struct Loaded {
    pub(super) digest: Vec<u8>,
    pub(super) session: ApiSession,
    pub(super) pending: Pending,
}

/// Returns a session that has not been opened yet.
pub(super) fn new(
    client_id: &str,
    login: &str,
    user: Option<&User>,
    pending: &Pending,
    expires_at: i64,
) -> Result<ApiSession, StoreError> {
    Ok(ApiSession {
        client_id: client_id.to_owned(),
        login: login.to_owned(),
        sub: user.map(|user| user.sub.clone()),
        generation: user.map_or(0, |user| user.generation),
        challenge: serde_json::to_string(pending).map_err(|_| StoreError::Damaged("challenge"))?,
        secret_block: None,
        used: false,
        expires_at,
    })
}

/// Stores a session and returns its secret, which the client sends back.
pub(super) fn open(tx: &Connection, session: ApiSession, now: i64) -> Result<String, StoreError> {
    let token = random_token()?;
    api_sessions::insert(tx, &token_digest(&token), &session, now)?;
    Ok(token)
}

/// Returns the session with this secret, if it is valid for this client.
pub(super) fn load(tx: &Connection, client_id: &str, token: &str, now: i64) -> Result<Loaded, Refusal> {
    let digest = token_digest(token);
    let session = api_sessions::find(tx, &digest)?.ok_or_else(Refusal::session_invalid)?;
    valid(digest, session, client_id, now)
}

/// Does the same as [`load`] for an operation that does not name its client.
pub(super) fn load_of_any_client(tx: &Connection, token: &str, now: i64) -> Result<Loaded, Refusal> {
    let digest = token_digest(token);
    let session = api_sessions::find(tx, &digest)?.ok_or_else(Refusal::session_invalid)?;
    let client_id = session.client_id.clone();
    valid(digest, session, &client_id, now)
}

/// Returns the session that sent this secret block, if it is valid for this client.
pub(super) fn load_by_secret_block(
    tx: &Connection,
    client_id: &str,
    secret_block: &str,
    now: i64,
) -> Result<Loaded, Refusal> {
    let found = api_sessions::find_by_secret_block(tx, secret_block)?;
    let (digest, session) = found.ok_or_else(Refusal::session_invalid)?;
    valid(digest, session, client_id, now)
}

fn valid(digest: Vec<u8>, session: ApiSession, client_id: &str, now: i64) -> Result<Loaded, Refusal> {
    if session.client_id != client_id {
        return Err(Refusal::session_invalid());
    }
    if session.used {
        return Err(Refusal::session_used());
    }
    if session.expires_at <= now {
        return Err(Refusal::session_expired());
    }
    let pending = serde_json::from_str(&session.challenge).map_err(|_| StoreError::Damaged("challenge"))?;
    Ok(Loaded { digest, session, pending })
}

impl Loaded {
    pub(super) fn mark_used(&self, tx: &Connection) -> Result<(), StoreError> {
        api_sessions::mark_used(tx, &self.digest)
    }

    /// Returns the user, if the password has not changed since the session began.
    pub(super) fn user(&self, tx: &Connection) -> Result<User, Refusal> {
        self.find_user(tx)?.ok_or_else(Refusal::session_invalid)
    }

    pub(super) fn find_user(&self, tx: &Connection) -> Result<Option<User>, StoreError> {
        let sub = self.session.sub.as_deref();
        sub.map_or(Ok(None), |sub| unchanged(tx, sub, self.session.generation))
    }

    /// Checks that the answer names the user of the session.
    pub(super) fn require_login(&self, tx: &Connection, login: &str) -> Result<(), Refusal> {
        let named = users::find_by_login(tx, login)?.map(|user| user.sub);
        if named == self.session.sub { Ok(()) } else { Err(Refusal::session_invalid()) }
    }
}
