//! What handlers can ask for: each takes the services that it needs as `State`.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::extract::FromRef;

use crate::accounts::Accounts;
use crate::auth_flow::AuthFlows;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::groups::Groups;
use crate::keys::KeyRing;
use crate::mail::Mailbox;
use crate::mfa::SecondFactor;
use crate::sign_in::SignIns;
use crate::tokens::Tokens;
use crate::urls::PoolUrls;

/// The key of the CSRF tokens.
#[derive(Clone)]
pub(crate) struct CsrfKey(Arc<hmac::Key>);

impl CsrfKey {
    pub(crate) fn new(key: hmac::Key) -> Self {
        Self(Arc::new(key))
    }

    pub(super) fn key(&self) -> &hmac::Key {
        &self.0
    }
}

/// The services of a pool.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) accounts: Accounts,
    pub(crate) auth_flows: AuthFlows,
    pub(crate) groups: Groups,
    pub(crate) sign_ins: SignIns,
    pub(crate) second_factor: SecondFactor,
    pub(crate) tokens: Tokens,
    pub(crate) keys: KeyRing,
    pub(crate) mailbox: Mailbox,
    pub(crate) csrf: CsrfKey,
    pub(crate) urls: Arc<PoolUrls>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Clock,
}

macro_rules! parts_of_state {
    ($($field:ident: $type:ty),+ $(,)?) => {
        $(impl FromRef<AppState> for $type {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        })+
    };
}

parts_of_state! {
    accounts: Accounts,
    sign_ins: SignIns,
    second_factor: SecondFactor,
    tokens: Tokens,
    keys: KeyRing,
    mailbox: Mailbox,
    urls: Arc<PoolUrls>,
    directory: Arc<Directory>,
    clock: Clock,
}
