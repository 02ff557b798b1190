//! `attach`, `detach`, `download`, also when connections break.

use std::{fs, io::Write as _, path::Path};

use serde_json::{Value, json};

use crate::{
    proxy::Cut,
    stack::{ALICE, Stack},
    terminal::{Run, Terminal},
};

const MB: usize = 1024 * 1024;

/// Bytes that do not repeat within a chunk, so that a test notices a byte in the wrong place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

#[test]
fn empty_file_is_uploaded_and_downloaded() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, file) = (terminal.add("x"), terminal.write("empty.txt", ""));
    let attached = terminal.json(["attach", &id, file.to_str().unwrap()]);
    assert_eq!((&attached[0]["size"], &attached[0]["content_type"]), (&json!(0), &json!("text/plain")));
    fs::remove_file(&file).unwrap();
    assert_eq!(terminal.ok(["download", &id]), "./empty.txt\n");
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn five_megabyte_file_is_uploaded_and_downloaded() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, content) = (terminal.add("x"), bytes(5 * MB));
    let file = terminal.write("photo of May.jpg", &content);
    let attached = terminal.json(["attach", &id, file.to_str().unwrap()]);
    assert_eq!(attached[0]["content_type"], "image/jpeg");
    let shown = terminal.json(["show", &id]);
    assert_eq!(
        (&shown["attachments"][0]["filename"], &shown["attachments"][0]["size"]),
        (&json!("photo of May.jpg"), &json!(5 * MB))
    );
    terminal.ok(["download", &id, "photo of May.jpg", "-o", "copy.jpg"]);
    assert!(fs::read(terminal.home.path().join("copy.jpg")).unwrap() == content);
    let run = terminal.command(["download", &id, "-o", "-"]).output().unwrap();
    assert!(run.stdout == content);
}

#[test]
fn interrupted_upload_starts_over_and_attaches_the_file_once() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, content) = (terminal.add("x"), bytes(5 * MB));
    let file = terminal.write("a.bin", &content);
    stack.s3_proxy.cut([Cut::Upload(2 * MB), Cut::Upload(3 * MB)]);
    terminal.ok(["attach", &id, file.to_str().unwrap()]);
    assert_eq!(stack.s3_proxy.cuts_made(), 2);
    assert_eq!(terminal.json(["show", &id])["attachments"].as_array().unwrap().len(), 1);
    terminal.ok(["download", &id, "-o", "b.bin"]);
    assert!(fs::read(terminal.home.path().join("b.bin")).unwrap() == content);
}

#[test]
fn upload_that_is_always_interrupted_fails_and_attaches_nothing() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, file) = (terminal.add("x"), terminal.write("a.bin", bytes(MB)));
    stack.s3_proxy.cut([Cut::Upload(MB / 2); 4]);
    let run = terminal.run(["attach", &id, file.to_str().unwrap()]);
    run.assert_failure(6, "a.bin was interrupted");
    assert_eq!(stack.s3_proxy.cuts_made(), 4);
    assert_eq!(terminal.json(["show", &id])["attachments"], json!([]));
}

#[test]
fn interrupted_download_starts_over_and_saves_the_whole_file() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, content) = (terminal.add("x"), bytes(5 * MB));
    let file = terminal.write("a.bin", &content);
    terminal.ok(["attach", &id, file.to_str().unwrap()]);
    stack.s3_proxy.cut([Cut::Download(MB), Cut::Download(3 * MB)]);
    terminal.ok(["download", &id, "-o", "b.bin"]);
    assert_eq!(stack.s3_proxy.cuts_made(), 2);
    assert!(fs::read(terminal.home.path().join("b.bin")).unwrap() == content);
    stack.s3_proxy.cut([Cut::Download(2 * MB)]);
    let run = terminal.command(["download", &id, "-o", "-"]).output().unwrap();
    assert_eq!(stack.s3_proxy.cuts_made(), 3);
    assert!(run.stdout == content);
}

#[test]
fn failed_download_leaves_no_file() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, file) = (terminal.add("x"), terminal.write("a.bin", bytes(MB)));
    terminal.ok(["attach", &id, file.to_str().unwrap()]);
    stack.s3_proxy.cut([Cut::Download(1); 9]);
    let folder = terminal.home.path().join("downloads");
    fs::create_dir(&folder).unwrap();
    terminal.run(["download", &id, "-o", "downloads"]).assert_code(6);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn large_file_is_transferred_in_little_memory_over_an_interrupted_connection() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("x");
    let file = sparse(terminal.home.path(), 200 * MB);
    stack.s3_proxy.cut([Cut::Upload(20 * MB)]);
    let (run, peak) = with_peak_memory(&terminal, ["attach", &id, file.to_str().unwrap()]);
    run.assert_code(0);
    assert!((1..64 * MB).contains(&peak) || cfg!(not(target_os = "linux")), "the upload took {peak} bytes");
    stack.s3_proxy.cut([Cut::Download(100 * MB)]);
    let (run, peak) = with_peak_memory(&terminal, ["download", &id, "-o", "copy"]);
    run.assert_code(0);
    assert!((1..64 * MB).contains(&peak) || cfg!(not(target_os = "linux")), "the download took {peak} bytes");
    assert_eq!(stack.s3_proxy.cuts_made(), 2);
    let status = std::process::Command::new("cmp").arg(&file).arg(terminal.home.path().join("copy")).status();
    assert!(status.unwrap().success());
}

/// Creates a sparse file of zeros with a mark at its start, in its middle and at its end.
fn sparse(folder: &Path, length: usize) -> std::path::PathBuf {
    use std::io::Seek as _;
    let path = folder.join("large.bin");
    let mut file = fs::File::create(&path).unwrap();
    for position in [0, length / 2, length - 4] {
        file.seek(std::io::SeekFrom::Start(position as u64)).unwrap();
        file.write_all(b"mark").unwrap();
    }
    path
}

/// Runs a command and measures its peak memory. It is 0 on other systems than Linux.
fn with_peak_memory<const N: usize>(terminal: &Terminal<'_>, arguments: [&str; N]) -> (Run, usize) {
    let mut process = terminal.command(arguments).spawn().unwrap();
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    while process.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kilobytes = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = kilobytes.unwrap_or(0usize).max(peak);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    (Run::of(process.wait_with_output().unwrap()), peak * 1024)
}

#[test]
fn damaged_download_is_not_saved() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, file) = (terminal.add("x"), terminal.write("a.txt", "the bytes"));
    terminal.ok(["attach", &id, file.to_str().unwrap()]);
    stack.corrupt_attachments();
    terminal.run(["download", &id, "-o", "b.txt"]).assert_failure(1, "a.txt is damaged");
    assert!(!terminal.home.path().join("b.txt").exists());
}

#[test]
fn existing_file_is_replaced_only_with_force() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, file) = (terminal.add("x"), terminal.write("a.txt", "attached"));
    terminal.ok(["attach", &id, file.to_str().unwrap()]);
    fs::write(&file, "mine").unwrap();
    terminal.run(["download", &id]).assert_failure(2, "already exists. Use --force");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let downloaded = terminal.json(["download", &id, "--force"]);
    assert_eq!(downloaded[0]["path"], "./a.txt");
    assert_eq!(fs::read_to_string(&file).unwrap(), "attached");
}

#[test]
fn files_attached_before_a_failure_are_reported() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("x");
    let (one, other) = (terminal.write("one.txt", "1"), terminal.write("other.txt", "2"));
    let run = terminal.run([
        "attach",
        &id,
        one.to_str().unwrap(),
        "missing.txt",
        other.to_str().unwrap(),
        "--json",
    ]);
    run.assert_code(1);
    let attached: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((attached.as_array().unwrap().len(), &attached[0]["filename"]), (1, &json!("one.txt")));
    assert!(run.stderr.contains("cannot read missing.txt"), "{run:?}");
    terminal.ok(["attach", &id, other.to_str().unwrap(), "--content-type", "application/x-two"]);
    assert_eq!(terminal.ok(["detach", &id, "one.txt"]), "Removed one.txt\n");
    let shown = terminal.json(["show", &id]);
    assert_eq!(shown["attachments"].as_array().unwrap().len(), 1);
    assert_eq!(shown["attachments"][0]["content_type"], "application/x-two");
    terminal.run(["detach", &id, "one.txt"]).assert_failure(2, "the item has no attachment one.txt");
}

#[test]
fn attachments_of_the_same_name_are_chosen_by_id() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let (id, file) = (terminal.add("x"), terminal.write("a.txt", "1"));
    let path = file.to_str().unwrap();
    let attached = terminal.json(["attach", &id, path, path]);
    fs::remove_file(path).unwrap();
    for command in [&["download", &id][..], &["download", &id, "a.txt"], &["detach", &id, "a.txt"]] {
        terminal.run(command).assert_failure(2, "several attachments are called a.txt");
    }
    terminal.run(["download", &id, "-o", "-"]).assert_failure(2, "only one attachment");
    terminal.ok(["detach", &id, attached[0]["id"].as_str().unwrap()]);
    assert_eq!(terminal.ok(["download", &id, "-o", "-"]), "1");
}

#[test]
fn folders_pipes_and_missing_items_are_rejected() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("x");
    terminal.run(["attach", &id, "."]).assert_failure(2, "is not a regular file");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(terminal.home.path().join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    terminal.run(["attach", &id, "pipe"]).assert_failure(2, "is not a regular file");
    let file = terminal.write("a.txt", "x");
    let nil = "00000000-0000-0000-0000-000000000000";
    terminal.run(["attach", nil, file.to_str().unwrap()]).assert_failure(4, "there is no such item");
    terminal.run(["download", &id]).assert_failure(2, "the item has no attachments");
}
