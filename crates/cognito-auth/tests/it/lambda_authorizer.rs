//! Lambda authorizers, with events as API Gateway sends them.

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerRequest, ApiGatewayCustomAuthorizerRequestTypeRequest,
    ApiGatewayV2CustomAuthorizerV2Request,
};
use cognito_auth::lambda_authorizer::{AuthorizerError, LambdaAuthorizer};
use cognito_auth::testing::TestPool;
use cognito_auth::{Authenticated, ResourceServer, UserPool, Verifier, group, scope};
use serde_json::{Value, json};

use crate::local_pool::RunningPool;

scope!(ItemsRead = "items/read");
group!(Admins = "admins");

const API: &str = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234";

fn authorizer(pool: &TestPool) -> LambdaAuthorizer {
    pool.resource_server().lambda_authorizer::<ItemsRead>()
}

fn token_event(authorization: &str) -> ApiGatewayCustomAuthorizerRequest {
    let event = json!({
        "type": "TOKEN", "authorizationToken": authorization, "methodArn": format!("{API}/prod/GET/items/42"),
    });
    serde_json::from_value(event).unwrap()
}

fn request_event(authorizations: &[&str]) -> ApiGatewayCustomAuthorizerRequestTypeRequest {
    let event = json!({
        "type": "REQUEST",
        "methodArn": format!("{API}/prod/POST/items"),
        "resource": "/items",
        "path": "/items",
        "httpMethod": "POST",
        "headers": { "authorization": authorizations.last(), "Host": "api.example.com" },
        "multiValueHeaders": { "authorization": authorizations, "Host": ["api.example.com"] },
        "queryStringParameters": {},
        "multiValueQueryStringParameters": {},
        "pathParameters": {},
        "stageVariables": {},
        "requestContext": {
            "accountId": "123456789012", "apiId": "abcdef1234", "stage": "prod", "httpMethod": "POST",
            "identity": { "sourceIp": "192.0.2.1" }, "requestId": "1", "resourcePath": "/items", "path": "/prod/items",
        },
    });
    serde_json::from_value(event).unwrap()
}

fn connect_event(authorization: &str) -> ApiGatewayCustomAuthorizerRequestTypeRequest {
    let event = json!({
        "type": "REQUEST",
        "methodArn": format!("{API}/prod/$connect"),
        "headers": { "Authorization": authorization, "Upgrade": "websocket" },
        "multiValueHeaders": { "Authorization": [authorization], "Upgrade": ["websocket"] },
        "queryStringParameters": {},
        "multiValueQueryStringParameters": {},
        "stageVariables": {},
        "requestContext": {
            "routeKey": "$connect", "eventType": "CONNECT", "messageDirection": "IN", "stage": "prod",
            "connectedAt": 1_767_225_600_000_i64, "connectionId": "c=", "apiId": "abcdef1234", "requestId": "1",
            "domainName": "abcdef1234.execute-api.eu-west-1.amazonaws.com", "identity": { "sourceIp": "192.0.2.1" },
        },
    });
    serde_json::from_value(event).unwrap()
}

fn http_event(authorization: &str) -> ApiGatewayV2CustomAuthorizerV2Request {
    let event = json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": format!("{API}/$default/GET/items"),
        "identitySource": [authorization],
        "routeKey": "GET /items",
        "rawPath": "/items",
        "rawQueryString": "",
        "headers": { "authorization": authorization, "host": "api.example.com" },
        "requestContext": {
            "accountId": "123456789012", "apiId": "abcdef1234", "domainName": "api.example.com", "domainPrefix": "api",
            "http": { "method": "GET", "path": "/items", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
            "requestId": "1", "routeKey": "GET /items", "stage": "$default", "timeEpoch": 1_767_225_600_000_i64,
        },
    });
    serde_json::from_value(event).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn reader(pool: &TestPool) -> String {
    bearer(&pool.user("alice").in_group("admins").in_group("staff").scope("openid items/read").access_token())
}

#[tokio::test]
async fn admitted_caller_gets_a_policy_for_the_whole_stage_and_a_context_of_strings() {
    let pool = TestPool::new();
    let raw = reader(&pool);
    let response = authorizer(&pool).rest_token(&token_event(&raw)).await.unwrap();
    let token = pool.verifier().verify_access(raw.trim_start_matches("Bearer ")).await.unwrap();
    let expected = json!({
        "principalId": token.sub(),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{
                "Action": ["execute-api:Invoke"], "Effect": "Allow", "Resource": [format!("{API}/prod/*")],
            }],
        },
        "context": {
            "userPoolId": pool.id(), "sub": token.sub(), "clientId": pool.client_id(), "username": "alice",
            "scopes": "openid items/read", "groups": "admins staff",
        },
        "usageIdentifierKey": null,
    });
    assert_eq!(serde_json::to_value(&response).unwrap(), expected);
    let request = authorizer(&pool).rest_request(&request_event(&[&raw])).await.unwrap();
    assert_eq!(serde_json::to_value(&request).unwrap(), expected);
    let connect = authorizer(&pool).rest_request(&connect_event(&raw)).await.unwrap();
    assert_eq!(serde_json::to_value(&connect).unwrap(), expected);
}

#[tokio::test]
async fn caller_without_the_scope_is_denied() {
    let pool = TestPool::new();
    let raw = bearer(&pool.user("bob").access_token());
    for response in [
        authorizer(&pool).rest_token(&token_event(&raw)).await.unwrap(),
        authorizer(&pool).rest_request(&request_event(&[&raw])).await.unwrap(),
    ] {
        let response = serde_json::to_value(&response).unwrap();
        assert_eq!(response["policyDocument"]["Statement"][0]["Effect"], "Deny");
        assert_eq!(response["context"], json!({}));
    }
}

#[tokio::test]
async fn invalid_token_fails_with_the_word_that_makes_a_401() {
    let pool = TestPool::new();
    let expired = bearer(&pool.user("alice").expired().access_token());
    let valid = reader(&pool);
    for authorization in ["", "Basic YTpi", "Bearer a.b.c", valid.trim_start_matches("Bearer "), &expired] {
        let error = authorizer(&pool).rest_token(&token_event(authorization)).await.unwrap_err();
        assert_eq!(error.to_string(), "Unauthorized");
        let error = authorizer(&pool).rest_request(&request_event(&[authorization])).await.unwrap_err();
        assert_eq!(error.to_string(), "Unauthorized");
    }
    let error = authorizer(&pool).rest_request(&request_event(&[&valid, &valid])).await.unwrap_err();
    assert_eq!(error.to_string(), "Unauthorized", "two credentials are ambiguous");
}

#[tokio::test]
async fn http_api_gets_a_simple_response() {
    let pool = TestPool::new();
    let response = authorizer(&pool).http_api(&http_event(&reader(&pool))).await.unwrap();
    let response = serde_json::to_value(&response).unwrap();
    assert_eq!(
        (&response["isAuthorized"], &response["context"]["username"]),
        (&json!(true), &json!("alice"))
    );
    for authorization in ["Bearer a.b.c".to_owned(), bearer(&pool.user("bob").access_token())] {
        let response = authorizer(&pool).http_api(&http_event(&authorization)).await.unwrap();
        let expected = json!({ "isAuthorized": false, "context": {} });
        assert_eq!(serde_json::to_value(&response).unwrap(), expected);
    }
}

#[tokio::test]
async fn missing_keys_make_the_function_fail_so_that_nothing_is_cached() {
    let pool = UserPool::new("eu-west-1_A1").unwrap().with_jwks_url("http://127.0.0.1:1").unwrap();
    let verifier = Verifier::builder(pool).any_client().build().unwrap();
    let authorizer = ResourceServer::new(verifier).lambda_authorizer::<Authenticated>();
    let raw = reader(&TestPool::new());
    let outcome = authorizer.rest_token(&token_event(&raw)).await;
    assert!(matches!(outcome, Err(AuthorizerError::KeysUnavailable(_))));
    let outcome = authorizer.http_api(&http_event(&raw)).await;
    assert!(matches!(outcome, Err(AuthorizerError::KeysUnavailable(_))));
}

#[tokio::test]
async fn event_without_a_usable_arn_is_an_error() {
    let pool = TestPool::new();
    for arn in [json!(null), json!("*"), json!(format!("{API}/prod")), json!(format!("{API}//GET"))] {
        let event: Value = json!({ "type": "TOKEN", "authorizationToken": reader(&pool), "methodArn": arn });
        let outcome = authorizer(&pool).rest_token(&serde_json::from_value(event).unwrap()).await;
        assert!(matches!(outcome, Err(AuthorizerError::MethodArn)), "{arn}");
    }
}

#[tokio::test]
async fn token_of_a_local_pool_is_admitted() {
    let pool = RunningPool::start().await;
    let raw = bearer(&pool.token("items/read").await);
    let server = pool.resource_server();
    let response = server.lambda_authorizer::<ItemsRead>().rest_token(&token_event(&raw)).await.unwrap();
    assert_eq!(response.context["clientId"], pool.client_id);
    let response = server.lambda_authorizer::<Admins>().http_api(&http_event(&raw)).await.unwrap();
    assert!(!response.is_authorized);
}
