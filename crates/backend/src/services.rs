//! The AWS services that keep the data.

pub mod dynamodb;
pub mod s3;
