//! The challenge `PASSWORD_VERIFIER`: sign-in by the Secure Remote Password protocol.

use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::session::{self, Pending, load, load_by_secret_block, open};
use super::{AuthFlows, Challenge, Progress};
use crate::directory::Client;
use crate::models::SrpVerifier;
use crate::refusal::{Refusal, decide};
use crate::sign_in::throttle_subject;
use crate::srp::{self, ClientPublic, Exchange};
use crate::store::{StoreError, throttle, users};

/// The answer of a client that knows the password.
pub(crate) struct PasswordProof {
    pub(crate) session: Option<String>,
    pub(crate) secret_block: String,
    pub(crate) signature: String,
    pub(crate) timestamp: String,
}

impl AuthFlows {
    /// Starts a sign-in by the Secure Remote Password protocol.
    pub(crate) async fn start_srp(
        &self,
        client: &Arc<Client>,
        login: &str,
        client_public: &str,
    ) -> Result<Progress, Refusal> {
        let client_public = ClientPublic::parse(client_public)
            .ok_or_else(|| Refusal::invalid_parameter("SRP_A is not a public value of the protocol."))?;
        let (key, subject, now_ms) = (login.to_owned(), throttle_subject(login), self.clock.unix_millis());
        let (user, locked) = self
            .store
            .read(move |db| Ok((users::find_by_login(db, &key)?, throttle::is_locked(db, &subject, now_ms)?)))
            .await?;
        if locked {
            return Err(Refusal::password_attempts());
        }
        if user.is_none() && !client.hides_existence {
            return Err(Refusal::user_not_found());
        }
        let user_id = user.as_ref().map_or_else(|| self.decoy_id(login), |user| user.username.clone());
        let stored = user.as_ref().and_then(|user| user.credentials.srp.clone());
        let (exchange, salt) = self.exchange(client_public, login, stored).await?;
        let secret_block = random_secret_block()?;
        let pending = Pending::PasswordVerifier { key: hex::encode(exchange.key), user_id: user_id.clone() };
        let now = now_ms / 1000;
        let expires_at = now + client.auth_session_seconds;
        let mut session = session::new(&client.id, login, user.as_ref(), &pending, expires_at)?;
        session.secret_block = Some(secret_block.clone());
        let session = self.store.write(move |tx| open(tx, session, now)).await?;
        let server_public = exchange.server_public;
        let challenge = Challenge::PasswordVerifier { user_id, salt, server_public, secret_block };
        Ok(Progress::Challenge { challenge, session })
    }

    /// Answers with the verifier of the user, or with an invented one. Also returns its salt, in hexadecimal digits.
    async fn exchange(
        &self,
        client_public: ClientPublic,
        login: &str,
        stored: Option<SrpVerifier>,
    ) -> Result<(Exchange, String), Refusal> {
        let (decoy_key, login_key) = (self.decoy_key.clone(), users::login_key(login));
        let turn = self.passwords.turn().await?;
        let (_, exchanged) = turn
            .run(move || {
                // Always computed, so that the time does not reveal who has a verifier.
                let decoy = srp::decoy(&decoy_key, &login_key);
                let verifier = stored.unwrap_or(decoy);
                srp::exchange(&client_public, &verifier)
                    .map(|exchange| (exchange, hex::encode(verifier.salt)))
            })
            .await?;
        Ok(exchanged?)
    }

    /// The username that an unknown user would have: the typed one, or for an address a stable invented one.
    pub(super) fn decoy_id(&self, login: &str) -> String {
        if !login.contains('@') {
            return login.to_owned();
        }
        let derived = hmac::sign(&self.decoy_key, format!("id:{}", users::login_key(login)).as_bytes());
        let bytes: [u8; 16] = std::array::from_fn(|index| derived.as_ref()[index]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Completes a sign-in by the Secure Remote Password protocol. Each session allows one attempt.
    pub(crate) async fn answer_srp(
        &self,
        client: &Arc<Client>,
        proof: PasswordProof,
    ) -> Result<Progress, Refusal> {
        let (flows, owner) = (self.clone(), Arc::clone(client));
        let now_ms = self.clock.unix_millis();
        let decision = decide(&self.store, move |tx| {
            let now = now_ms / 1000;
            let loaded = match &proof.session {
                Some(session) => load(tx, &owner.id, session, now)?,
                // Some clients send back only the secret block.
                None => load_by_secret_block(tx, &owner.id, &proof.secret_block, now)?,
            };
            let Pending::PasswordVerifier { key, user_id } = &loaded.pending else {
                return Err(Refusal::session_invalid());
            };
            loaded.mark_used(tx)?;
            let subject = throttle_subject(&loaded.session.login);
            if throttle::is_locked(tx, &subject, now_ms)? {
                return Err(Refusal::password_attempts());
            }
            let same_block = loaded.session.secret_block.as_ref() == Some(&proof.secret_block);
            let right = same_block && proof.is_right(key, &flows.pool_name, user_id);
            match loaded.find_user(tx)?.filter(|user| right && user.credentials.srp.is_some()) {
                Some(user) => {
                    throttle::clear(tx, &subject)?;
                    flows.proceed(tx, &owner, user, &loaded.session.login, now)
                }
                None => {
                    throttle::record_failure(tx, &subject, now_ms)?;
                    Err(Refusal::incorrect_password())
                }
            }
        });
        self.conclude(client, decision.await?).await
    }
}

impl PasswordProof {
    fn is_right(&self, key: &str, pool_name: &str, user_id: &str) -> bool {
        let decoded =
            (hex::decode(key), STANDARD.decode(&self.secret_block), STANDARD.decode(&self.signature));
        let (Ok(key), Ok(block), Ok(signature)) = decoded else { return false };
        let message = [pool_name.as_bytes(), user_id.as_bytes(), &block, self.timestamp.as_bytes()];
        srp::is_signed(&key, &message, &signature)
    }
}

fn random_secret_block() -> Result<String, StoreError> {
    let mut bytes = [0; 64];
    rand::fill(&mut bytes)?;
    Ok(STANDARD.encode(bytes))
}
