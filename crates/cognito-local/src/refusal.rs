//! Why the pool refuses an operation of its API: the exceptions of Cognito and their messages.

use rusqlite::Transaction;

use crate::attempt::CodeOutcome;
use crate::error::ServiceError;
use crate::password::PasswordError;
use crate::store::{Store, StoreError};
use crate::tokens::{GrantError, TokenError};

/// An operation that is refused. `Display` is Cognito's message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{message}")]
    Known { exception: &'static str, message: String },
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Defines functions that return refusals: `name: exception, message`.
macro_rules! refusals {
    ($($name:ident: $exception:literal, $message:literal;)+) => {
        impl Refusal {
            $(pub(crate) fn $name() -> Self {
                Self::known($exception, $message)
            })+
        }
    };
}

refusals! {
    incorrect_password: "NotAuthorizedException", "Incorrect username or password.";
    password_attempts: "NotAuthorizedException", "Password attempts exceeded";
    user_disabled: "NotAuthorizedException", "User is disabled.";
    session_expired: "NotAuthorizedException", "Invalid session for the user, session is expired.";
    session_used: "NotAuthorizedException", "Invalid session for the user, session can only be used once.";
    session_invalid: "NotAuthorizedException", "Invalid session for the user.";
    temporary_password_expired: "NotAuthorizedException",
        "Temporary password has expired and must be reset by an administrator.";
    user_not_found: "UserNotFoundException", "User does not exist.";
    username_exists: "UsernameExistsException", "User already exists";
    email_exists: "UsernameExistsException", "An account with the given email already exists.";
    reset_impossible: "NotAuthorizedException", "User password cannot be reset in the current state.";
    no_verified_address: "InvalidParameterException",
        "Cannot reset password for the user as there is no registered/verified email or phone_number";
    group_not_found: "ResourceNotFoundException", "Group not found.";
    user_of_client_not_found: "UserNotFoundException", "Username/client id combination not found.";
    user_not_confirmed: "UserNotConfirmedException", "User is not confirmed.";
    password_reset_required: "PasswordResetRequiredException", "Password reset required for the user";
    code_mismatch: "CodeMismatchException", "Invalid verification code provided, please try again.";
    app_code_mismatch: "CodeMismatchException", "Invalid code received for user";
    code_expired: "ExpiredCodeException", "Invalid code provided, please request a code again.";
    app_code_used: "ExpiredCodeException", "Your software token has already been used once.";
    app_setup_mismatch: "EnableSoftwareTokenMFAException", "Code mismatch and fail enable Software Token MFA";
    app_not_associated: "SoftwareTokenMFANotFoundException", "Software token TOTP multi-factor authentication (MFA) isn't set up.";
    attempts_exceeded: "LimitExceededException", "Attempt limit exceeded, please try after some time.";
    alias_exists: "AliasExistsException", "An account with the email already exists.";
}

impl Refusal {
    pub(crate) fn known(exception: &'static str, message: impl Into<String>) -> Self {
        Self::Known { exception, message: message.into() }
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::known("InvalidParameterException", message)
    }

    pub(crate) fn not_authorized(message: impl Into<String>) -> Self {
        Self::known("NotAuthorizedException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::known("ResourceNotFoundException", message)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        Self::Service(error.into())
    }
}

impl From<aws_lc_rs::error::Unspecified> for Refusal {
    fn from(error: aws_lc_rs::error::Unspecified) -> Self {
        StoreError::from(error).into()
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::not_authorized(match error {
            TokenError::Invalid => "Invalid Access Token",
            TokenError::Signature => "Could not verify signature for Access Token",
            TokenError::Expired => "Access Token has expired",
            TokenError::Revoked => "Access Token has been revoked",
            TokenError::Store(error) => return error.into(),
        })
    }
}

impl From<GrantError> for Refusal {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Revoked => Self::not_authorized("Refresh Token has been revoked"),
            GrantError::Expired => Self::not_authorized("Refresh Token has expired"),
            GrantError::Reused => {
                Self::known("RefreshTokenReuseException", "Refresh token reuse detected. Sign in again.")
            }
            GrantError::Store(error) => error.into(),
            GrantError::Sign(error) => Self::Service(error.into()),
            GrantError::Invalid | GrantError::RedirectUri | GrantError::Unauthorized | GrantError::Scope => {
                Self::not_authorized("Invalid Refresh Token")
            }
        }
    }
}

/// Returns the refusal of a mailed code that was not accepted.
pub(crate) fn mailed_code(outcome: CodeOutcome) -> Result<(), Refusal> {
    match outcome {
        CodeOutcome::Accepted => Ok(()),
        CodeOutcome::Wrong => Err(Refusal::code_mismatch()),
        CodeOutcome::Expired => Err(Refusal::code_expired()),
        CodeOutcome::Locked => Err(Refusal::attempts_exceeded()),
        CodeOutcome::EmailTaken => Err(Refusal::alias_exists()),
    }
}

/// Returns the refusal of a code of an authenticator app that was not accepted.
pub(crate) fn app_code(outcome: CodeOutcome) -> Result<(), Refusal> {
    match outcome {
        CodeOutcome::Accepted => Ok(()),
        CodeOutcome::Expired => Err(Refusal::app_code_used()),
        CodeOutcome::Locked => Err(Refusal::attempts_exceeded()),
        CodeOutcome::Wrong | CodeOutcome::EmailTaken => Err(Refusal::app_code_mismatch()),
    }
}

/// Returns the refusal of the first code of an authenticator app that was not accepted.
pub(crate) fn app_setup_code(outcome: CodeOutcome) -> Result<(), Refusal> {
    match outcome {
        CodeOutcome::Accepted => Ok(()),
        CodeOutcome::Locked => Err(Refusal::attempts_exceeded()),
        CodeOutcome::Wrong | CodeOutcome::Expired | CodeOutcome::EmailTaken => {
            Err(Refusal::app_setup_mismatch())
        }
    }
}

/// Runs `change` in one transaction. A refusal commits like a success, because it counts an attempt or uses up a session;
/// a failure of the store rolls back.
pub(crate) async fn decide<T: Send + 'static>(
    store: &Store,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    store
        .write(move |tx| match change(tx) {
            Err(Refusal::Service(ServiceError::Store(failure))) => Err(failure),
            outcome => Ok(outcome),
        })
        .await?
}
