//! The operations that the pool has.

use serde_json::Value;

use super::access::Access::{self, AccessToken, Open};
use super::error::ApiError;
use super::input::Input;
use super::{account, password, sign_in, sign_up, software_token, tokens};
use crate::http::state::AppState;

/// One line for each operation: its name, who may call it, and its handler.
macro_rules! operations {
    ($($name:literal, $access:ident, $handler:path;)+) => {
        /// The names of all operations, and who may call them.
        pub(in crate::http) const OPERATIONS: &[(&str, Access)] = &[$(($name, $access)),+];

        /// Calls an operation.
        pub(super) async fn call(pool: &AppState, name: &str, input: &Input) -> Result<Value, ApiError> {
            // Boxed, so that a request needs the memory of one handler and not that of the largest.
            let output = match name {
                $($name => Box::pin($handler(pool, input)).await,)+
                _ => return Err(ApiError::unknown_operation()),
            };
            Ok(output?)
        }
    };
}

operations! {
    "SignUp", Open, sign_up::sign_up;
    "ConfirmSignUp", Open, sign_up::confirm_sign_up;
    "ResendConfirmationCode", Open, sign_up::resend_confirmation_code;
    "InitiateAuth", Open, sign_in::initiate_auth;
    "RespondToAuthChallenge", Open, sign_in::respond_to_auth_challenge;
    "ForgotPassword", Open, password::forgot_password;
    "ConfirmForgotPassword", Open, password::confirm_forgot_password;
    "GetTokensFromRefreshToken", Open, tokens::get_tokens_from_refresh_token;
    "RevokeToken", Open, tokens::revoke_token;
    "ChangePassword", AccessToken, password::change_password;
    "GlobalSignOut", AccessToken, tokens::global_sign_out;
    "GetUser", AccessToken, account::get_user;
    "DeleteUser", AccessToken, account::delete_user;
    "UpdateUserAttributes", AccessToken, account::update_user_attributes;
    "DeleteUserAttributes", AccessToken, account::delete_user_attributes;
    "GetUserAttributeVerificationCode", AccessToken, account::get_user_attribute_verification_code;
    "VerifyUserAttribute", AccessToken, account::verify_user_attribute;
    "GetUserAuthFactors", AccessToken, account::get_user_auth_factors;
    "AssociateSoftwareToken", Open, software_token::associate_software_token;
    "VerifySoftwareToken", Open, software_token::verify_software_token;
    "SetUserMFAPreference", AccessToken, software_token::set_user_mfa_preference;
}

/// Returns who may call an operation, if the pool has it.
pub(super) fn access(name: &str) -> Option<Access> {
    OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, access)| *access)
}
