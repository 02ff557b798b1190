//! The challenge `MFA_SETUP`: a user of a pool that requires an authenticator app sets one up to complete a sign-in.

use std::sync::Arc;

use super::session::{self, Pending, open};
use super::{AuthFlows, Decision, Progress};
use crate::directory::Client;
use crate::mfa::{new_app_secret, register_app};
use crate::models::ApiSession;
use crate::refusal::{Refusal, app_setup_code, decide};
use crate::store::{StoreError, users};
use crate::tokens::grant_by_api;

impl AuthFlows {
    /// Returns a secret for an app, and the session that waits for its first code.
    pub(crate) async fn associate_app(&self, session: &str) -> Result<(Vec<u8>, String), Refusal> {
        let (session, now) = (session.to_owned(), self.clock.unix_seconds());
        decide(&self.store, move |tx| {
            let loaded = session::load_of_any_client(tx, &session, now)?;
            let Pending::MfaSetup { verified: false, .. } = loaded.pending else {
                return Err(Refusal::session_invalid());
            };
            loaded.user(tx)?;
            loaded.mark_used(tx)?;
            let secret = new_app_secret()?;
            let pending = Pending::MfaSetup { secret: Some(hex::encode(&secret)), verified: false };
            Ok((secret, open(tx, successor(loaded.session, &pending)?, now)?))
        })
        .await
    }

    /// Registers the app with its first code, and returns the session that completes the sign-in.
    pub(crate) async fn verify_app(&self, session: &str, code: &str) -> Result<String, Refusal> {
        let (session, code, now_ms) = (session.to_owned(), code.to_owned(), self.clock.unix_millis());
        decide(&self.store, move |tx| {
            let now = now_ms / 1000;
            let loaded = session::load_of_any_client(tx, &session, now)?;
            let Pending::MfaSetup { secret: Some(secret), verified: false } = &loaded.pending else {
                return Err(Refusal::session_invalid());
            };
            let secret = hex::decode(secret).map_err(|_| StoreError::Damaged("challenge"))?;
            let user = loaded.user(tx)?;
            if user.totp_secret.is_some() {
                return Err(Refusal::session_invalid());
            }
            app_setup_code(register_app(tx, &user, &secret, &code, now_ms)?)?;
            users::enable_totp(tx, &user.sub)?;
            loaded.mark_used(tx)?;
            let pending = Pending::MfaSetup { secret: None, verified: true };
            Ok(open(tx, successor(loaded.session, &pending)?, now)?)
        })
        .await
    }

    /// Completes a sign-in during which an app was set up.
    pub(crate) async fn answer_mfa_setup(
        &self,
        client: &Arc<Client>,
        session: &str,
        login: &str,
    ) -> Result<Progress, Refusal> {
        self.answer(client, session, login, move |_, tx, client, loaded, now| {
            let Pending::MfaSetup { verified: true, .. } = loaded.pending else {
                return Err(Refusal::session_invalid());
            };
            let user = loaded.user(tx)?;
            loaded.mark_used(tx)?;
            Ok(Decision::Granted(Box::new(grant_by_api(tx, client, user, now)?)))
        })
        .await
    }
}

/// Returns the session that follows, for the same user and with the same end.
fn successor(session: ApiSession, pending: &Pending) -> Result<ApiSession, StoreError> {
    let challenge = serde_json::to_string(pending).map_err(|_| StoreError::Damaged("challenge"))?;
    Ok(ApiSession { challenge, ..session })
}
