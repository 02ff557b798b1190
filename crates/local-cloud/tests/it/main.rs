//! Attacks on the local services, as a web page or another program of this machine would make them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure must fail the test")]

mod data_folder;
mod dynamodb;
mod s3;

use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use local_cloud::{Credentials, REGION};

/// Origins of pages that must not call: another site, a site with a similar name, and a page without an origin.
const FOREIGN_ORIGINS: [&str; 4] =
    ["https://evil.example", "http://localhost.evil.example:8000", "null", "http://192.168.1.2"];

/// What a browser sends after DNS rebinding.
const FOREIGN_HOST: &str = "evil.example";

fn stranger() -> Credentials {
    local_cloud::credentials(None).unwrap()
}

fn dynamodb_client(url: &str, credentials: &Credentials) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .endpoint_url(url);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

fn s3_client(url: &str, credentials: &Credentials) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .force_path_style(true)
        .endpoint_url(url);
    aws_sdk_s3::Client::from_conf(config.build())
}
