use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use aws_sdk_s3::primitives::ByteStream;
use local_cloud::{
    LocalDynamoDb, LocalS3, LocalUserPool, PoolConfig, bind_loopback, credentials, remove_data,
};

use crate::s3_client;

/// Starts everything in `folder`, writes an object, and stops.
async fn use_folder(folder: &Path) {
    let credentials = credentials(Some(folder)).unwrap();
    let listeners = [bind_loopback(0).await.unwrap(), bind_loopback(0).await.unwrap()];
    let [for_dynamodb, for_s3] = listeners;
    let dynamodb = LocalDynamoDb::start(for_dynamodb, Some(folder), "items", &credentials).unwrap();
    let s3 = LocalS3::start(for_s3, Some(folder), "files", &credentials).unwrap();
    let pool_listeners = bind_loopback(0).await.unwrap();
    let pool = LocalUserPool::start(pool_listeners, Some(folder), PoolConfig::default()).await.unwrap();
    let put = s3_client(s3.endpoint_url(), &credentials).put_object().bucket("files").key("a");
    put.body(ByteStream::from_static(b"bytes")).send().await.unwrap();
    assert_private(folder);
    tokio::join!(dynamodb.stop(), s3.stop(), pool.stop());
}

/// Every entry is out of reach for other users. The folders of buckets keep others from what is in them.
fn assert_private(folder: &Path) {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        let expected = if entry.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}: {mode:o}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    for name in ["aws-credentials", "cognito.sqlite", "dynamodb.sqlite", "dynamodb.sqlite-wal", "s3"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
}

#[tokio::test]
async fn data_is_private_to_its_owner() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    use_folder(&folder).await;
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    // Data of an earlier version, which others could read.
    for name in ["aws-credentials", "cognito.sqlite", "dynamodb.sqlite", "s3"] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    use_folder(&folder).await;
}

#[test]
fn credentials_belong_to_the_folder() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = credentials(Some(one.path())).unwrap();
    let again = credentials(Some(one.path())).unwrap();
    assert_eq!(first.secret_access_key(), again.secret_access_key());
    let foreign = credentials(Some(other.path())).unwrap();
    assert_ne!(first.access_key_id(), foreign.access_key_id());
    assert_ne!(first.secret_access_key(), foreign.secret_access_key());
    fs::write(one.path().join("aws-credentials"), "[default]\n").unwrap();
    let error = credentials(Some(one.path())).unwrap_err().to_string();
    assert!(error.contains("aws-credentials") && error.contains("delete it"), "{error}");
}

#[tokio::test]
async fn reset_removes_only_the_data() {
    let folder = tempfile::tempdir().unwrap();
    use_folder(folder.path()).await;
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    remove_data(folder.path()).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    remove_data(folder.path()).unwrap();
}
