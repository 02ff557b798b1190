//! The operations that the pool has.

use serde_json::Value;

use super::access::Access::{self, Open, Signed, WithToken};
use super::error::ApiError;
use super::input::Input;
use super::{account, admin_groups, admin_users, password, pool, sign_in, sign_up, software_token, tokens};
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
    "ChangePassword", WithToken, password::change_password;
    "GlobalSignOut", WithToken, tokens::global_sign_out;
    "GetUser", WithToken, account::get_user;
    "DeleteUser", WithToken, account::delete_user;
    "UpdateUserAttributes", WithToken, account::update_user_attributes;
    "DeleteUserAttributes", WithToken, account::delete_user_attributes;
    "GetUserAttributeVerificationCode", WithToken, account::get_user_attribute_verification_code;
    "VerifyUserAttribute", WithToken, account::verify_user_attribute;
    "GetUserAuthFactors", WithToken, account::get_user_auth_factors;
    "AssociateSoftwareToken", Open, software_token::associate_software_token;
    "VerifySoftwareToken", Open, software_token::verify_software_token;
    "SetUserMFAPreference", WithToken, software_token::set_user_mfa_preference;
    "AdminCreateUser", Signed, admin_users::admin_create_user;
    "AdminGetUser", Signed, admin_users::admin_get_user;
    "AdminSetUserPassword", Signed, admin_users::admin_set_user_password;
    "AdminConfirmSignUp", Signed, admin_users::admin_confirm_sign_up;
    "AdminUpdateUserAttributes", Signed, admin_users::admin_update_user_attributes;
    "AdminDeleteUserAttributes", Signed, admin_users::admin_delete_user_attributes;
    "AdminDeleteUser", Signed, admin_users::admin_delete_user;
    "AdminDisableUser", Signed, admin_users::admin_disable_user;
    "AdminEnableUser", Signed, admin_users::admin_enable_user;
    "AdminResetUserPassword", Signed, admin_users::admin_reset_user_password;
    "AdminUserGlobalSignOut", Signed, admin_users::admin_user_global_sign_out;
    "AdminSetUserMFAPreference", Signed, admin_users::admin_set_user_mfa_preference;
    "ListUsers", Signed, admin_users::list_users;
    "AdminInitiateAuth", Signed, sign_in::admin_initiate_auth;
    "AdminRespondToAuthChallenge", Signed, sign_in::admin_respond_to_auth_challenge;
    "CreateGroup", Signed, admin_groups::create_group;
    "GetGroup", Signed, admin_groups::get_group;
    "UpdateGroup", Signed, admin_groups::update_group;
    "DeleteGroup", Signed, admin_groups::delete_group;
    "ListGroups", Signed, admin_groups::list_groups;
    "AdminAddUserToGroup", Signed, admin_groups::admin_add_user_to_group;
    "AdminRemoveUserFromGroup", Signed, admin_groups::admin_remove_user_from_group;
    "AdminListGroupsForUser", Signed, admin_groups::admin_list_groups_for_user;
    "ListUsersInGroup", Signed, admin_groups::list_users_in_group;
    "DescribeUserPool", Signed, pool::describe_user_pool;
    "ListUserPools", Signed, pool::list_user_pools;
    "DescribeUserPoolClient", Signed, pool::describe_user_pool_client;
    "ListUserPoolClients", Signed, pool::list_user_pool_clients;
}

/// Returns who may call an operation, if the pool has it.
pub(super) fn access(name: &str) -> Option<Access> {
    OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, access)| *access)
}
