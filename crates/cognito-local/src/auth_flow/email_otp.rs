//! The challenge `EMAIL_OTP`: sign-in with a mailed code instead of a password.

use std::sync::Arc;

use super::session::{self, Pending, open};
use super::{AuthFlows, Challenge, Progress};
use crate::accounts::MailedCode;
use crate::config::FirstFactor;
use crate::directory::Client;
use crate::mail::{masked_address, send_code};
use crate::models::{MailPurpose, User, UserStatus};
use crate::refusal::{Refusal, decide, mailed_code};
use crate::store::users;

impl AuthFlows {
    /// Whether `user` can sign in with a mailed code. With a second factor, Cognito allows passwords only.
    pub(super) fn can_mail_code(&self, user: &User) -> bool {
        user.email_verified
            && user.enabled
            && user.status == UserStatus::Confirmed
            && self.second_factor.next_step(user).is_none()
    }

    /// Mails a code for signing in. The answer for a user who cannot get one is the same, unless the client may know which
    /// users exist.
    pub(crate) async fn mail_code(&self, client: &Client, login: &str) -> Result<Progress, Refusal> {
        if !self.directory.first_factors.contains(&FirstFactor::EmailOtp) {
            return Err(Refusal::invalid_parameter("EMAIL_OTP is not an allowed first factor of this pool."));
        }
        let (flows, login, now) = (self.clone(), login.to_owned(), self.clock.unix_seconds());
        let (client_id, seconds) = (client.id.clone(), client.auth_session_seconds);
        let hides_existence = client.hides_existence;
        let (challenge, session) = decide(&self.store, move |tx| {
            let found = users::find_by_login(tx, &login)?;
            if found.is_none() && !hides_existence {
                return Err(Refusal::user_not_found());
            }
            let address = found.as_ref().and_then(|user| user.email.as_deref()).unwrap_or(&login);
            let destination = masked_address(address);
            let username =
                found.as_ref().map_or_else(|| flows.decoy_id(&login), |user| user.username.clone());
            let user = found.filter(|user| flows.can_mail_code(user));
            send_code(tx, user.as_ref(), MailPurpose::SignIn, now)?;
            let session = session::new(&client_id, &login, user.as_ref(), &Pending::EmailOtp, now + seconds)?;
            Ok((Challenge::EmailOtp { username, destination }, open(tx, session, now)?))
        })
        .await?;
        Ok(Progress::Challenge { challenge, session })
    }

    /// Completes a sign-in with a mailed code. After a wrong code the session stays usable.
    pub(crate) async fn answer_mailed_code(
        &self,
        client: &Arc<Client>,
        session: &str,
        code: &str,
    ) -> Result<Progress, Refusal> {
        let (flows, owner) = (self.clone(), Arc::clone(client));
        let (session, code, now_ms) = (session.to_owned(), code.to_owned(), self.clock.unix_millis());
        let decision = decide(&self.store, move |tx| {
            let now = now_ms / 1000;
            let loaded = session::load(tx, &owner.id, &session, now)?;
            let Pending::EmailOtp = loaded.pending else { return Err(Refusal::session_invalid()) };
            let user = loaded.find_user(tx)?;
            let login = &loaded.session.login;
            let attempt = MailedCode { login, code: &code, purpose: MailPurpose::SignIn, now_ms };
            mailed_code(attempt.check(tx, user.as_ref())?)?;
            loaded.mark_used(tx)?;
            flows.proceed(tx, &owner, user.ok_or_else(Refusal::code_mismatch)?, login, now)
        });
        self.conclude(client, decision.await?).await
    }
}
