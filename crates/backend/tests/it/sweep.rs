//! What no request can remove, and the sweep does.

use std::time::{Duration, Instant};

use backend::{
    domain::{SweepOptions, SweepReport},
    models::version::IfMatch,
};
use http::StatusCode;
use serde_json::json;

use crate::{
    attachments::{attach, owner, send, text_file},
    support::TestApp,
};

/// Sweeps files of any age.
async fn sweep(app: &TestApp) -> SweepReport {
    run(app, SweepOptions::default()).await
}

async fn run(app: &TestApp, options: SweepOptions) -> SweepReport {
    let options = SweepOptions { min_age: Some(Duration::ZERO), ..options };
    app.app.sweep().run(&options).await.unwrap()
}

#[tokio::test]
async fn uploads_that_arrive_after_their_item_is_gone_are_swept() {
    let app = TestApp::with(&[("ATTACHMENTS_PER_ITEM", "20")]).await;
    let alice = app.user("alice");
    let kept = attach(&alice, &alice.create_item("kept").await, "kept.txt", b"four").await;
    let item = alice.create_item("to be removed").await;
    let mut uploads = Vec::new();
    for n in 0..25 {
        let created = alice.post(&format!("/items/{item}/attachments"), text_file("a.txt", b"four")).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        uploads.push(created.json()["upload"].clone());
        if n < 5 {
            assert_eq!(alice.delete(created.header("location")).await.status, StatusCode::NO_CONTENT);
        }
    }
    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NO_CONTENT);
    for upload in &uploads {
        assert_eq!(send(upload, b"four").await.status(), 200);
    }

    // By default, files are left alone while their upload could be under way.
    let young = app.app.sweep().run(&SweepOptions::default()).await.unwrap();
    assert_eq!((young.owners, young.files, young.is_complete), (1, 0, true));
    let counted = run(&app, SweepOptions { dry_run: true, ..SweepOptions::default() }).await;
    let removed = sweep(&app).await;
    assert_eq!((counted.files, removed.files, removed.bytes), (25, 25, 100));
    assert_eq!((removed.abandoned, removed.removals, removed.failures), (0, 0, 0));
    assert_eq!(sweep(&app).await.files, 0);
    assert_eq!(alice.get(&kept).await.status, StatusCode::OK);
}

#[tokio::test]
async fn removal_that_stopped_half_way_is_finished() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let path = attach(&alice, &item, "a.txt", b"four").await;
    let download = alice.get(&path).await.json()["download"].clone();
    let id = item.parse::<uuid::Uuid>().unwrap().into();
    app.app.store().delete_item(&owner(&app, &alice).await, id, &IfMatch::Absent).await.unwrap();
    assert_eq!(send(&download, b"").await.status(), 200);
    assert_eq!(sweep(&app).await.removals, 1);
    assert_eq!(send(&download, b"").await.status(), 404);
    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(sweep(&app).await.removals, 0);
}

#[tokio::test]
async fn attachment_that_was_never_uploaded_is_released() {
    // Long enough for an upload on a machine with other work.
    let app = TestApp::with(&[("PRESIGNED_URL_SECONDS", "3")]).await;
    let alice = app.user("alice");
    let item = alice.create_item("with files").await;
    let uploaded = attach(&alice, &item, "b.txt", b"four").await;
    alice.post(&format!("/items/{item}/attachments"), text_file("a.txt", b"four")).await;
    let released = async {
        while sweep(&app).await.abandoned == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), released).await.expect("it is released");
    let usage = app.app.store().usage(&owner(&app, &alice).await).await.unwrap();
    assert_eq!((usage.files, usage.bytes), (1, 4));
    assert_eq!(alice.get(&uploaded).await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_sums_are_corrected() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    attach(&alice, &alice.create_item("with a file").await, "a.txt", b"four").await;
    let (store, owner) = (app.app.store(), owner(&app, &alice).await);
    let seen = store.usage(&owner).await.unwrap();
    assert!(store.correct_usage(&owner, &seen, (99, 99)).await.unwrap());
    assert!(!store.correct_usage(&owner, &seen, (98, 98)).await.unwrap(), "it has changed since");
    assert_eq!(sweep(&app).await.corrected, 1);
    let usage = store.usage(&owner).await.unwrap();
    assert_eq!((usage.files, usage.bytes), (1, 4));
    assert_eq!(sweep(&app).await.corrected, 0);
}

#[tokio::test]
async fn sweep_goes_on_where_the_last_one_stopped() {
    let app = TestApp::start().await;
    for name in ["alice", "bob", "carol"] {
        let user = app.user(name);
        attach(&user, &user.create_item("with a file").await, "a.txt", b"four").await;
    }
    let store = app.app.store();
    let owners = store.owners_after(None).await.unwrap();
    let stop_at = Some(Instant::now());
    let stopped = run(&app, SweepOptions { stop_at, ..SweepOptions::default() }).await;
    assert_eq!((stopped.owners, stopped.is_complete), (0, false));
    store.put_sweep_position(Some(&owners[0].0)).await.unwrap();
    let rest = sweep(&app).await;
    let all = sweep(&app).await;
    assert_eq!((rest.is_complete, all.owners), (true, 3));
    assert_eq!(rest.owners, 2);
}

#[tokio::test]
async fn command_sweeps_and_reports() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    attach(&alice, &alice.create_item("with a file").await, "a.txt", b"four").await;
    for arguments in [&["sweep", "--dry-run"][..], &["sweep"]] {
        let output = app.run(arguments);
        let log = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(log.contains("owners=1") && log.contains("is_complete=true"), "{log}");
    }
    let files = alice.get("/items").await.json();
    assert_eq!(files["items"].as_array().unwrap().len(), 1);
    assert_eq!(files["next_cursor"], json!(null));
}
