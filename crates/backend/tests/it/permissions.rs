//! The IAM actions that the storage layer needs, committed as `iam-actions.json` for the policy in `infra/`.

use backend::services::{
    dynamodb::TABLE_ACTIONS,
    s3::{BUCKET_ACTIONS, OBJECT_ACTIONS},
};
use serde_json::{Value, json};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/iam-actions.json");

/// Run with `UPDATE_IAM_ACTIONS=1` to write the file. In a debug build, the storage layer panics at a call whose action is
/// not listed, so every API test checks the list.
#[test]
fn committed_iam_actions_are_those_of_the_storage_layer() {
    let actions = json!({ "table": TABLE_ACTIONS, "objects": OBJECT_ACTIONS, "bucket": BUCKET_ACTIONS });
    if std::env::var_os("UPDATE_IAM_ACTIONS").is_some() {
        std::fs::write(COMMITTED, format!("{actions:#}\n")).unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(COMMITTED).unwrap()).unwrap();
    assert_eq!(committed, actions, "crates/backend/iam-actions.json is out of date; see this test");
}
