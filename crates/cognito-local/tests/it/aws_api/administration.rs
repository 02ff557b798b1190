//! The operations that need AWS credentials.

use axum::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::support::{CAROL, all_flows, request, sign_up_input};
use crate::support::{ALICE, Answer, TestPool};

const POOL: &str = "us-east-1_LocalPool";
const NEW_PASSWORD: &str = "Looking-glass2";

pub(crate) fn authorization() -> HeaderValue {
    let signature = "0123456789abcdef".repeat(4);
    HeaderValue::try_from(format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261201/us-east-1/cognito-idp/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={signature}"
    ))
    .unwrap()
}

impl TestPool {
    /// Calls an operation with a signature, for this pool.
    async fn admin(&self, operation: &str, mut input: Value) -> Answer {
        input["UserPoolId"] = json!(POOL);
        let mut request = request(operation, &input.to_string());
        request.headers_mut().insert("authorization", authorization());
        request.headers_mut().insert("x-amz-date", HeaderValue::from_static("20261201T000000Z"));
        self.send_call(request).await
    }

    async fn create_carol(&self) -> Value {
        let input = json!({
            "Username": CAROL.0,
            "TemporaryPassword": CAROL.1,
            "UserAttributes": [
                { "Name": "email", "Value": "carol@example.com" },
                { "Name": "email_verified", "Value": "true" },
            ],
        });
        self.admin("AdminCreateUser", input).await.output()
    }
}

#[tokio::test]
async fn management_needs_a_signature_and_is_closed_to_web_pages() {
    let pool = TestPool::open().await;
    let input = json!({ "UserPoolId": POOL, "Username": "alice" });
    let unsigned = pool.call("AdminGetUser", &input).await;
    unsigned.assert_exception("MissingAuthenticationTokenException", "Missing Authentication Token");
    for (header, value) in [("authorization", "Bearer x"), ("authorization", "AWS4-HMAC-SHA256 x")] {
        let mut request = request("AdminGetUser", &input.to_string());
        request.headers_mut().insert(header, HeaderValue::from_static(value));
        let answer = pool.send_call(request).await;
        assert_eq!(answer.json()["__type"], "IncompleteSignatureException", "{value}");
    }
    for origin in ["http://localhost:5173", "https://example.com", "http://localhost:9229"] {
        let mut request = request("AdminGetUser", &input.to_string());
        request.headers_mut().insert("authorization", authorization());
        request.headers_mut().insert("x-amz-date", HeaderValue::from_static("20261201T000000Z"));
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
        let answer = pool.send_call(request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
    }
    let user = pool.admin("AdminGetUser", json!({ "Username": "alice" })).await.output();
    assert_eq!((&user["UserStatus"], &user["Enabled"]), (&json!("CONFIRMED"), &json!(true)));
    assert!(user["UserCreateDate"].is_number());
}

#[tokio::test]
async fn other_pools_and_unknown_users_do_not_exist() {
    let pool = TestPool::open().await;
    let nobody = pool.admin("AdminGetUser", json!({ "Username": "nobody" })).await;
    nobody.assert_exception("UserNotFoundException", "User does not exist.");
    let mut other = request("DescribeUserPool", "{\"UserPoolId\": \"eu-west-1_Other\"}");
    other.headers_mut().insert("authorization", authorization());
    other.headers_mut().insert("x-amz-date", HeaderValue::from_static("20261201T000000Z"));
    pool.send_call(other)
        .await
        .assert_exception("ResourceNotFoundException", "User pool eu-west-1_Other does not exist.");
}

#[tokio::test]
async fn created_user_replaces_the_temporary_password_by_the_api() {
    let pool = TestPool::with(all_flows).await;
    let created = pool.create_carol().await;
    assert_eq!(created["User"]["UserStatus"], "FORCE_CHANGE_PASSWORD");
    assert_eq!(pool.mailed_code().await, CAROL.1, "the invitation contains the temporary password");
    let first = pool.sign_in_by_api(CAROL).await;
    let session = first.challenge("NEW_PASSWORD_REQUIRED");
    let parameters = &first.output()["ChallengeParameters"];
    assert_eq!(parameters["requiredAttributes"], "[]");
    let attributes: Value = serde_json::from_str(parameters["userAttributes"].as_str().unwrap()).unwrap();
    assert_eq!(attributes["email"], "carol@example.com");

    let answer = async |password: &str, attribute: (&str, &str)| {
        let mut responses = json!({ "USERNAME": "carol", "NEW_PASSWORD": password });
        responses[format!("userAttributes.{}", attribute.0)] = json!(attribute.1);
        pool.respond("NEW_PASSWORD_REQUIRED", &session, responses).await
    };
    let of_alice = json!({ "USERNAME": "alice", "NEW_PASSWORD": NEW_PASSWORD });
    pool.respond("NEW_PASSWORD_REQUIRED", &session, of_alice)
        .await
        .assert_not_authorized("Invalid session for the user.");
    let weak = answer("weak", ("name", "Carol")).await;
    assert_eq!(weak.json()["__type"], "InvalidPasswordException");
    answer(NEW_PASSWORD, ("email", "mallory@example.com"))
        .await
        .assert_not_authorized("Cannot modify an already provided email");
    let _ = answer(NEW_PASSWORD, ("name", "Carol")).await.tokens();
    answer(NEW_PASSWORD, ("name", "Carol"))
        .await
        .assert_not_authorized("Invalid session for the user, session can only be used once.");
    pool.sign_in_by_api(CAROL).await.assert_not_authorized("Incorrect username or password.");
    let _ = pool.access_token(("carol", NEW_PASSWORD)).await;
}

#[tokio::test]
async fn created_user_replaces_the_temporary_password_on_the_page() {
    let pool = TestPool::open().await;
    let _ = pool.create_carol().await;
    let browser = pool.browser();
    let challenged = browser.sign_in(CAROL, &[]).await;
    assert!(challenged.location().starts_with("/new-password?"), "{}", challenged.location());
    let setup = browser.open("/mfa/setup").await;
    assert!(setup.location().starts_with("/login?"), "the password comes first");
    let page = browser.follow(&challenged).await;
    let weak = browser.submit(&page, &[("password", "weak"), ("password_again", "weak")]).await;
    assert!(weak.text.contains("Password not long enough"), "{}", weak.text);
    let fields = [("password", NEW_PASSWORD), ("password_again", NEW_PASSWORD)];
    let answer = browser.submit(&weak, &fields).await;
    assert_eq!(pool.redeem(&answer.redirect_parameter("code")).await.status, StatusCode::OK);
    let again = browser.submit(&weak, &fields).await;
    assert!(again.location().starts_with("/login?"), "the challenge is used up");
}

#[tokio::test]
async fn temporary_password_expires_after_seven_days_and_can_be_sent_again() {
    let pool = TestPool::open().await;
    let _ = pool.create_carol().await;
    pool.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600));
    let message = "Temporary password has expired and must be reset by an administrator.";
    pool.sign_in_by_api(CAROL).await.assert_not_authorized(message);
    let on_page = pool.browser().sign_in(CAROL, &[]).await;
    assert!(on_page.text.contains(message), "{}", on_page.text);
    let resend = json!({ "Username": "carol", "MessageAction": "RESEND" });
    let _ = pool.admin("AdminCreateUser", resend).await.output();
    let mailed = pool.mailed_code().await;
    let _ = pool.sign_in_by_api(("carol", &mailed)).await.challenge("NEW_PASSWORD_REQUIRED");
    let known =
        pool.admin("AdminCreateUser", json!({ "Username": "alice", "MessageAction": "RESEND" })).await;
    assert_eq!(known.json()["__type"], "UnsupportedUserStateException");
}

#[tokio::test]
async fn password_set_by_an_administrator_is_temporary_unless_permanent() {
    let pool = TestPool::open().await;
    let set = async |password: &str, permanent: bool| {
        let input = json!({ "Username": "alice", "Password": password, "Permanent": permanent });
        pool.admin("AdminSetUserPassword", input).await
    };
    assert_eq!(set("weak", true).await.json()["__type"], "InvalidPasswordException");
    let _ = set(NEW_PASSWORD, false).await.output();
    let _ = pool.sign_in_by_api(("alice", NEW_PASSWORD)).await.challenge("NEW_PASSWORD_REQUIRED");
    let _ = set(NEW_PASSWORD, true).await.output();
    let _ = pool.access_token(("alice", NEW_PASSWORD)).await;
}

#[tokio::test]
async fn disabled_user_gets_no_token_until_enabled_again() {
    let pool = TestPool::with(all_flows).await;
    let tokens = pool.sign_in_by_api(ALICE).await.tokens();
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    let _ = pool.admin("AdminDisableUser", json!({ "Username": "alice" })).await.output();

    pool.sign_in_by_api(ALICE).await.assert_not_authorized("User is disabled.");
    let wrong = pool.sign_in_by_api(("alice", "Wrong-land1")).await;
    wrong.assert_not_authorized("Incorrect username or password.");
    let refresh = json!({ "ClientId": "localweb", "RefreshToken": tokens["RefreshToken"] });
    let refreshed = pool.call("GetTokensFromRefreshToken", &refresh).await;
    refreshed.assert_not_authorized("Refresh Token has been revoked");
    let get_user = pool.call("GetUser", &json!({ "AccessToken": tokens["AccessToken"] })).await;
    get_user.assert_not_authorized("Access Token has been revoked");
    let on_page = pool.browser().sign_in(ALICE, &[]).await;
    assert!(on_page.text.contains("User is disabled."), "{}", on_page.text);
    let remembered = browser.open("/oauth2/authorize").await;
    assert!(remembered.location().starts_with("/login?"), "{}", remembered.location());

    let _ = pool.admin("AdminEnableUser", json!({ "Username": "alice" })).await.output();
    let _ = pool.sign_in_by_api(ALICE).await.tokens();
}

#[tokio::test]
async fn required_reset_stops_sign_in_until_the_mailed_code_sets_a_password() {
    let pool = TestPool::open().await;
    let _ = pool.admin("AdminResetUserPassword", json!({ "Username": "alice" })).await.output();
    pool.sign_in_by_api(ALICE)
        .await
        .assert_exception("PasswordResetRequiredException", "Password reset required for the user");
    let on_page = pool.browser().sign_in(ALICE, &[]).await;
    assert!(on_page.location().starts_with("/forgot-password?"), "{}", on_page.location());
    let input = json!({
        "ClientId": "localweb",
        "Username": "alice",
        "ConfirmationCode": pool.mailed_code().await,
        "Password": NEW_PASSWORD,
    });
    let _ = pool.call("ConfirmForgotPassword", &input).await.output();
    let _ = pool.access_token(("alice", NEW_PASSWORD)).await;
}

#[tokio::test]
async fn account_is_confirmed_changed_signed_out_and_deleted() {
    let pool = TestPool::open().await;
    let _ = pool.call("SignUp", &sign_up_input()).await.output();
    let carol = || json!({ "Username": "carol" });
    let _ = pool.admin("AdminConfirmSignUp", carol()).await.output();
    pool.admin("AdminConfirmSignUp", carol())
        .await
        .assert_not_authorized("User cannot be confirmed. Current status is CONFIRMED");
    let mut update = carol();
    update["UserAttributes"] = json!([{ "Name": "email", "Value": "alice@example.com" },
                                      { "Name": "email_verified", "Value": "true" }]);
    let taken = pool.admin("AdminUpdateUserAttributes", update.clone()).await;
    assert_eq!(taken.json()["__type"], "AliasExistsException");
    update["UserAttributes"][0]["Value"] = json!("carol@example.org");
    let _ = pool.admin("AdminUpdateUserAttributes", update).await.output();
    let mut delete = carol();
    delete["UserAttributeNames"] = json!(["custom:tenant"]);
    let _ = pool.admin("AdminDeleteUserAttributes", delete).await.output();
    // Found by the new address.
    let user = pool.admin("AdminGetUser", json!({ "Username": "carol@example.org" })).await.output();
    let attributes = user["UserAttributes"].to_string();
    assert!(attributes.contains("carol@example.org") && !attributes.contains("tenant"), "{attributes}");

    let token = pool.access_token(CAROL).await;
    let _ = pool.admin("AdminUserGlobalSignOut", carol()).await.output();
    let get_user = pool.call("GetUser", &json!({ "AccessToken": token })).await;
    get_user.assert_not_authorized("Access Token has been revoked");
    let _ = pool.admin("AdminDeleteUser", carol()).await.output();
    let gone = pool.admin("AdminGetUser", carol()).await;
    gone.assert_exception("UserNotFoundException", "User does not exist.");
}

#[tokio::test]
async fn administrator_signs_users_in_with_the_flow_of_servers() {
    let pool = TestPool::open().await;
    let input = json!({
        "ClientId": "localweb",
        "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
        "AuthParameters": { "USERNAME": ALICE.0, "PASSWORD": ALICE.1 },
    });
    let _ = pool.admin("AdminInitiateAuth", input.clone()).await.tokens();
    let only_srp = TestPool::with(|config| {
        config.clients[0].auth_flows = vec![cognito_local::AuthFlow::UserSrpAuth];
    })
    .await;
    only_srp
        .admin("AdminInitiateAuth", input)
        .await
        .assert_exception("InvalidParameterException", "Auth flow not enabled for this client");
}

#[tokio::test]
async fn groups_are_in_the_tokens_of_their_members() {
    let pool = TestPool::open().await;
    let group = json!({ "GroupName": "editors", "Description": "May edit", "Precedence": 3 });
    let created = pool.admin("CreateGroup", group.clone()).await.output();
    assert_eq!(created["Group"]["Precedence"], 3);
    assert!(created["Group"].get("RoleArn").is_none() && created["Group"]["CreationDate"].is_number());
    let twice = pool.admin("CreateGroup", group).await;
    assert_eq!(twice.json()["__type"], "GroupExistsException");
    let member = json!({ "GroupName": "editors", "Username": "bob" });
    let _ = pool.admin("AdminAddUserToGroup", member.clone()).await.output();
    let claims = async || {
        let token = pool.access_token(("bob", "Builder-yes2")).await;
        crate::support::jwt_part(&token, 1)["cognito:groups"].clone()
    };
    assert_eq!(claims().await, json!(["editors"]));
    let members = pool.admin("ListUsersInGroup", json!({ "GroupName": "editors" })).await.output();
    assert_eq!(members["Users"][0]["Username"], "bob");
    let of_alice = pool.admin("AdminListGroupsForUser", json!({ "Username": "alice" })).await.output();
    assert_eq!(of_alice["Groups"][0]["GroupName"], "admins", "the configured group exists");
    let update = json!({ "GroupName": "editors", "Precedence": 1 });
    let updated = pool.admin("UpdateGroup", update).await.output();
    assert_eq!(
        (&updated["Group"]["Precedence"], &updated["Group"]["Description"]),
        (&json!(1), &json!("May edit"))
    );
    let _ = pool.admin("AdminRemoveUserFromGroup", member.clone()).await.output();
    assert_eq!(claims().await, Value::Null);
    let _ = pool.admin("AdminAddUserToGroup", member.clone()).await.output();
    let _ = pool.admin("DeleteGroup", json!({ "GroupName": "editors" })).await.output();
    assert_eq!(claims().await, Value::Null);
    pool.admin("AdminAddUserToGroup", member)
        .await
        .assert_exception("ResourceNotFoundException", "Group not found.");
    let groups = pool.admin("ListGroups", json!({ "Limit": 1 })).await.output();
    assert_eq!(groups["Groups"].as_array().unwrap().len(), 1);
    assert!(groups.get("NextToken").is_none());
}

#[tokio::test]
async fn users_are_listed_in_pages_and_filtered() {
    let pool = TestPool::open().await;
    for n in 0..5 {
        let input = json!({
            "Username": format!("Dora{n}"),
            "MessageAction": "SUPPRESS",
            "UserAttributes": [{ "Name": "family_name", "Value": format!("Family {}", n % 2) }],
        });
        let _ = pool.admin("AdminCreateUser", input).await.output();
    }
    let list = async |input: Value| pool.admin("ListUsers", input).await;
    let names = |page: &Value| -> Vec<String> {
        let users = page["Users"].as_array().unwrap().iter();
        users.map(|user| user["Username"].as_str().unwrap().to_owned()).collect()
    };
    let (mut all, mut token) = (Vec::new(), Value::Null);
    loop {
        let page = list(json!({ "Limit": 3, "PaginationToken": token })).await.output();
        all.extend(names(&page));
        token = page["PaginationToken"].clone();
        if token.is_null() {
            break;
        }
        assert_eq!(page["Users"].as_array().unwrap().len(), 3);
    }
    assert_eq!(all, ["alice", "bob", "Dora0", "Dora1", "Dora2", "Dora3", "Dora4"]);
    let filtered = async |filter: &str| names(&list(json!({ "Filter": filter })).await.output());
    assert_eq!(filtered("family_name = \"Family 1\"").await, ["Dora1", "Dora3"]);
    assert_eq!(filtered("username ^= \"do\"").await.len(), 5);
    assert_eq!(filtered("email = \"alice@example.com\"").await, ["alice"]);
    assert_eq!(filtered("cognito:user_status = \"CONFIRMED\"").await, ["alice", "bob"]);
    assert_eq!(filtered("status = \"Disabled\"").await, Vec::<String>::new());
    for (member, value) in
        [("Filter", json!("custom:x = \"1\"")), ("Limit", json!(61)), ("PaginationToken", json!("%"))]
    {
        let mut input = json!({});
        input[member] = value;
        assert_eq!(list(input).await.json()["__type"], "InvalidParameterException", "{member}");
    }
    let page = list(json!({ "AttributesToGet": ["sub"], "Limit": 1 })).await.output();
    assert_eq!(page["Users"][0]["Attributes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pool_and_clients_describe_their_configuration() {
    let pool = TestPool::open().await;
    let described = pool.admin("DescribeUserPool", json!({})).await.output();
    let described = &described["UserPool"];
    assert_eq!((&described["Id"], &described["MfaConfiguration"]), (&json!(POOL), &json!("OPTIONAL")));
    assert_eq!(described["Policies"]["PasswordPolicy"]["MinimumLength"], 8);
    let pools = pool.admin("ListUserPools", json!({ "MaxResults": 10 })).await.output();
    assert_eq!(pools["UserPools"][0]["Id"], POOL);
    let clients = pool.admin("ListUserPoolClients", json!({ "MaxResults": 1 })).await.output();
    assert_eq!(clients["UserPoolClients"][0]["ClientId"], "localmachine");
    let rest = json!({ "MaxResults": 1, "NextToken": clients["NextToken"] });
    let clients = pool.admin("ListUserPoolClients", rest).await.output();
    assert_eq!(clients["UserPoolClients"][0]["ClientId"], "localweb");
    assert!(clients.get("NextToken").is_none());
    let client = pool.admin("DescribeUserPoolClient", json!({ "ClientId": "localweb" })).await.output();
    let client = &client["UserPoolClient"];
    assert_eq!(client["RefreshTokenRotation"]["Feature"], "ENABLED");
    assert!(client["ExplicitAuthFlows"].to_string().contains("ALLOW_USER_SRP_AUTH"));
    assert!(client.get("ClientSecret").is_none());
}
