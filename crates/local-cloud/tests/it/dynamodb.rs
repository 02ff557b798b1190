use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::ProvideErrorMetadata,
    types::AttributeValue,
};
use local_cloud::{Credentials, LocalDynamoDb, bind_loopback};
use reqwest::{Client, Method, StatusCode, header};

use crate::{FOREIGN_HOST, FOREIGN_ORIGINS, dynamodb_client, stranger};

async fn start() -> (LocalDynamoDb, Credentials) {
    let credentials = stranger();
    let listeners = bind_loopback(0).await.unwrap();
    (LocalDynamoDb::start(listeners, None, "items", &credentials).unwrap(), credentials)
}

async fn error_code(url: &str, credentials: &Credentials) -> Option<String> {
    let result = dynamodb_client(url, credentials).scan().table_name("items").send().await;
    result.err().and_then(|error| error.code().map(str::to_owned))
}

/// Keeps what the SDK sends.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Option<Sent>>>);

type Sent = (Vec<(String, String)>, Vec<u8>);

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let request = context.request();
        let headers = request.headers().iter().filter(|(name, _)| *name != "content-length");
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        *self.0.lock().unwrap() = Some((headers, request.body().bytes().unwrap().to_vec()));
        Ok(())
    }
}

/// A signed request, to be changed.
async fn scan(database: &LocalDynamoDb, credentials: &Credentials) -> reqwest::RequestBuilder {
    let recorder = Recorder::default();
    let call = dynamodb_client(database.endpoint_url(), credentials).scan().table_name("items");
    call.customize().interceptor(recorder.clone()).send().await.unwrap();
    let (headers, body) = recorder.0.lock().unwrap().take().unwrap();
    let request = Client::new().post(database.endpoint_url()).body(body);
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn owner_of_the_credentials_reads_and_writes() {
    let (database, credentials) = start().await;
    let client = dynamodb_client(database.endpoint_url(), &credentials);
    let put = client.put_item().table_name("items").item("pk", AttributeValue::S("a  b".into()));
    put.item("sk", AttributeValue::S("é".into())).send().await.unwrap();
    assert_eq!(client.scan().table_name("items").send().await.unwrap().count(), 1);
    database.stop().await;
}

#[tokio::test]
async fn other_credentials_are_rejected() {
    let (database, credentials) = start().await;
    let url = database.endpoint_url();
    let wrong_secret = Credentials::new(credentials.access_key_id(), "local-secret", None, None, "test");
    assert_eq!(error_code(url, &stranger()).await.as_deref(), Some("UnrecognizedClientException"));
    assert_eq!(error_code(url, &wrong_secret).await.as_deref(), Some("InvalidSignatureException"));
    assert_eq!(error_code(url, &credentials).await, None);
}

#[tokio::test]
async fn unsigned_request_is_rejected() {
    let (database, _) = start().await;
    let request =
        Client::new().post(database.endpoint_url()).header("x-amz-target", "DynamoDB_20120810.Scan");
    let request = request.header(header::CONTENT_TYPE, "application/x-amz-json-1.0");
    let answer = request.body(r#"{"TableName":"items"}"#).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("MissingAuthenticationTokenException"));
}

#[tokio::test]
async fn signature_covers_body_and_operation() {
    let (database, credentials) = start().await;
    let same = scan(&database, &credentials).await.send().await.unwrap();
    assert_eq!(same.status(), StatusCode::OK);
    let other_body = scan(&database, &credentials).await.body(r#"{"TableName":"other"}"#);
    let other_body = other_body.send().await.unwrap();
    assert!(other_body.text().await.unwrap().contains("InvalidSignatureException"));
    let mut other_operation = scan(&database, &credentials).await.build().unwrap();
    other_operation.headers_mut().insert("x-amz-target", "DynamoDB_20120810.DeleteTable".parse().unwrap());
    let answer = Client::new().execute(other_operation).await.unwrap();
    assert!(answer.text().await.unwrap().contains("InvalidSignatureException"));
}

#[tokio::test]
async fn page_of_another_site_is_rejected() {
    let (database, credentials) = start().await;
    for origin in FOREIGN_ORIGINS {
        let signed = scan(&database, &credentials).await.header(header::ORIGIN, origin);
        let answer = signed.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
        let preflight = Client::new().request(Method::OPTIONS, database.endpoint_url());
        let preflight =
            preflight.header(header::ORIGIN, origin).header("access-control-request-method", "POST");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
        assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
    }
}

#[tokio::test]
async fn rebound_host_is_rejected() {
    let (database, _) = start().await;
    let answer = Client::new().get(database.endpoint_url()).header(header::HOST, FOREIGN_HOST).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
}
