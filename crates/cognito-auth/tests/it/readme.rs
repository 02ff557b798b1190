//! The README's statements about the tests.

use std::fs;
use std::path::Path;

/// Returns the text of all files under a folder.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        None => sources(&path),
        Some(_) => fs::read_to_string(path).unwrap(),
    });
    texts.collect()
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&crate_folder.join("tests")) + &sources(&crate_folder.join("src"));
    let readme = fs::read_to_string(crate_folder.join("README.md")).unwrap();
    let table = readme.split("## Speed").next().unwrap().split("## Compared").nth(1).unwrap();
    let named: Vec<&str> = table.split('`').filter(|text| text.contains("::")).collect();
    assert!(named.len() > 20);
    for name in named {
        let function = name.rsplit("::").next().unwrap().trim_end_matches('…');
        assert!(sources.contains(&format!("fn {function}")), "{name}");
    }
}
