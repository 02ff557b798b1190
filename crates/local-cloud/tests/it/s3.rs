use std::time::Duration;

use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};
use local_cloud::{Credentials, LocalS3, bind_loopback};
use reqwest::{Client, Method, StatusCode, header};

use crate::{FOREIGN_HOST, FOREIGN_ORIGINS, s3_client, stranger};

const PAGE: &str = "http://localhost:5173";

async fn start() -> (LocalS3, Credentials) {
    let credentials = stranger();
    let listeners = bind_loopback(0).await.unwrap();
    let s3 = LocalS3::start(listeners, None, "files", &credentials).unwrap();
    let put = s3_client(s3.endpoint_url(), &credentials).put_object().bucket("files").key("a");
    put.body(ByteStream::from_static(b"secret")).send().await.unwrap();
    (s3, credentials)
}

async fn presigned_get(s3: &LocalS3, credentials: &Credentials) -> String {
    let expires = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let get = s3_client(s3.endpoint_url(), credentials).get_object().bucket("files").key("a");
    get.presigned(expires).await.unwrap().uri().to_owned()
}

#[tokio::test]
async fn other_credentials_and_unsigned_requests_are_rejected() {
    let (s3, credentials) = start().await;
    let wrong_secret = Credentials::new(credentials.access_key_id(), "local-secret", None, None, "test");
    for credentials in [stranger(), wrong_secret] {
        let get = s3_client(s3.endpoint_url(), &credentials).get_object().bucket("files").key("a");
        assert!(get.send().await.is_err());
        let forged = presigned_get(&s3, &credentials).await;
        assert_eq!(Client::new().get(forged).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    for method in [Method::GET, Method::DELETE] {
        let url = format!("{}/files/a", s3.endpoint_url());
        let answer = Client::new().request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn presigned_url_works_from_a_page_of_this_machine() {
    let (s3, credentials) = start().await;
    let url = presigned_get(&s3, &credentials).await;
    let answer = Client::new().get(url).header(header::ORIGIN, PAGE).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    assert_eq!(answer.text().await.unwrap(), "secret");
    let preflight = Client::new().request(Method::OPTIONS, format!("{}/files/b", s3.endpoint_url()));
    let preflight = preflight.header(header::ORIGIN, PAGE).header("access-control-request-method", "PUT");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
}

#[tokio::test]
async fn page_of_another_site_is_rejected() {
    let (s3, credentials) = start().await;
    let url = presigned_get(&s3, &credentials).await;
    for origin in FOREIGN_ORIGINS {
        for method in [Method::GET, Method::OPTIONS] {
            let request = Client::new().request(method, &url).header(header::ORIGIN, origin);
            let answer = request.header("access-control-request-method", "GET").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
            assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
        }
    }
}

#[tokio::test]
async fn rebound_host_is_rejected() {
    let (s3, _) = start().await;
    let answer = Client::new().get(s3.endpoint_url()).header(header::HOST, FOREIGN_HOST).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
}
