//! Fails when files of one crate, or of one TypeScript project, import each other in a circle.
//!
//! An arrow runs from a file to the module that it names in a path, whether that module defines or re-exports the name.
//! Exempt are test code, and what a submodule uses of the module that contains it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    imports::{rust, typescript},
    repository::Repository,
};

/// Circles that read better than their cure: every file of the circle, and the reason.
const ACCEPTED: [(&[&str], &str); 0] = [];

type Arrows = BTreeSet<(String, String)>;

/// Reports every circle that is not accepted.
///
/// # Errors
///
/// The circles, a line each, with the imports that close them.
pub(crate) fn check(repository: &Repository) -> Result<(), String> {
    let mut circles = Vec::new();
    let projects = projects(repository)?;
    for arrows in projects.values() {
        let found = circles_of(arrows).into_iter().filter(|files| !is_accepted(files));
        circles.extend(found.map(|files| describe(&files, arrows)));
    }
    if circles.is_empty() {
        println!("circles: none in {} source folders", projects.len());
        return Ok(());
    }
    Err(format!("{} circle(s) of files that import each other:\n{}", circles.len(), circles.join("\n")))
}

/// The arrows of each source folder.
fn projects(repository: &Repository) -> Result<BTreeMap<String, Arrows>, String> {
    let mut sources: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in repository.files() {
        if let Some(folder) = source_folder(path) {
            sources.entry(folder.to_owned()).or_default().push((path.to_owned(), repository.read(path)?));
        }
    }
    let arrows = |files: &[(String, String)], folder: &str| {
        if files.iter().any(|(path, _)| path.ends_with(".rs")) {
            rust::arrows(folder, files)
        } else {
            typescript::arrows(files)
        }
    };
    Ok(sources.iter().map(|(folder, files)| (folder.clone(), arrows(files, folder))).collect())
}

/// `crates/x/src` and the like for Rust; `infra`, `examples/web` for TypeScript.
fn source_folder(path: &str) -> Option<&str> {
    if path.ends_with(".rs") {
        return path.find("src/").map(|at| &path[..at + "src".len()]);
    }
    let is_source = (path.ends_with(".ts") || path.ends_with(".tsx")) && !path.contains("test");
    let folder = ["infra", "examples/web"].into_iter().find(|folder| path.starts_with(folder))?;
    is_source.then_some(folder)
}

fn is_accepted(files: &BTreeSet<String>) -> bool {
    ACCEPTED.iter().any(|(accepted, _)| files.iter().map(String::as_str).eq(accepted.iter().copied()))
}

fn describe(files: &BTreeSet<String>, arrows: &Arrows) -> String {
    let inside = arrows.iter().filter(|(from, to)| files.contains(from) && files.contains(to));
    let lines: Vec<_> = inside.map(|(from, to)| format!("    {from} -> {to}")).collect();
    format!("  {} files:\n{}", files.len(), lines.join("\n"))
}

/// The sets of two or more files of which each reaches every other.
fn circles_of(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.iter().map(|(from, _)| (from.as_str(), reachable(from, arrows))).collect();
    let mut circles = BTreeSet::new();
    for (file, targets) in &reached {
        let mutual =
            targets.iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)));
        let circle: BTreeSet<String> = mutual.map(|other| (*other).to_owned()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reachable<'a>(start: &str, arrows: &'a Arrows) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(file) = waiting.pop() {
        for (_, to) in arrows.iter().filter(|(from, _)| from == file) {
            if found.insert(to.as_str()) {
                waiting.push(to);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(pairs: &[(&str, &str)]) -> Arrows {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn files_that_reach_each_other_are_a_circle() {
        let circles = circles_of(&arrows(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")]));
        assert_eq!(circles, [["a", "b", "c"].map(str::to_owned).into()]);
    }

    #[test]
    fn arrows_one_way_are_not_a_circle() {
        assert!(circles_of(&arrows(&[("a", "b"), ("a", "c"), ("b", "c")])).is_empty());
    }
}
