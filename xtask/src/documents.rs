//! Checks the Markdown files: word count, line length, links and anchors.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{Repository, join};

/// The most words that all Markdown files may have together.
const MAX_WORDS: usize = 24_000;

/// The longest line outside tables and code blocks, in characters.
const MAX_LINE: usize = 120;

/// Reports every mistake in the Markdown files.
///
/// # Errors
///
/// The mistakes, a line each, with file and line number.
pub(crate) fn check(repository: &Repository) -> Result<(), String> {
    let mut documents = BTreeMap::new();
    for path in repository.files().filter(|path| path.ends_with(".md")) {
        documents.insert(path.to_owned(), repository.read(path)?);
    }
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        documents.iter().map(|(path, text)| (path.as_str(), anchors(text))).collect();
    let mut mistakes = Vec::new();
    for (path, text) in &documents {
        mistakes
            .extend(long_lines(text).map(|line| format!("{path}:{line}: longer than {MAX_LINE} characters")));
        for (line, target) in links(text) {
            if let Some(mistake) = broken(repository, &anchors, path, target) {
                mistakes.push(format!("{path}:{line}: {mistake}"));
            }
        }
    }
    let words: usize = documents.values().map(|text| text.split_whitespace().count()).sum();
    if words > MAX_WORDS {
        mistakes.push(format!("{words} words in all Markdown files; at most {MAX_WORDS} are allowed"));
    }
    if mistakes.is_empty() {
        println!("documents: {} files with {words} words are correct", documents.len());
        return Ok(());
    }
    Err(format!("{} mistake(s) in the documents:\n  {}", mistakes.len(), mistakes.join("\n  ")))
}

/// The lines outside fenced code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((number, line))
    })
}

/// A table's row, the definition of a link, or one word such as a URL, cannot be broken.
fn long_lines(text: &str) -> impl Iterator<Item = usize> {
    let is_definition = |line: &str| line.starts_with('[') && line.contains("]: ");
    let is_unbreakable = move |line: &str| {
        line.trim_start().starts_with('|') || is_definition(line) || !line.trim().contains(' ')
    };
    prose(text)
        .filter(move |(_, line)| line.chars().count() > MAX_LINE && !is_unbreakable(line))
        .map(|(number, _)| number)
}

/// The targets of `[text](target)` and `[name]: target`, outside inline code.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        let inline = line.match_indices("](").filter(|(at, _)| !is_inline_code(line, *at));
        let inline = inline.filter_map(|(at, _)| line[at + 2..].split([')', ' ']).next());
        let reference =
            line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        inline.chain(reference).map(move |target| (number, target.trim()))
    })
}

fn is_inline_code(line: &str, at: usize) -> bool {
    line[..at].matches('`').count() % 2 == 1
}

fn broken(
    repository: &Repository,
    anchors: &BTreeMap<&str, BTreeSet<String>>,
    from: &str,
    target: &str,
) -> Option<String> {
    let is_external = target.contains("://") || target.starts_with("mailto:");
    // In a crate's README, rustdoc resolves and checks names of items.
    let is_item = target.contains("::") || !target.contains(['/', '.', '#']);
    if is_external || is_item {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() { from.to_owned() } else { join(from, file) };
    if !repository.contains(&file) {
        return Some(format!("the link {target} leads to no file"));
    }
    let known = anchors.get(file.as_str())?;
    let is_found = anchor.is_empty() || known.contains(anchor);
    (!is_found).then(|| format!("the link {target} leads to no heading"))
}

/// The anchors that GitHub gives a document's headings, and those of `<a id="…">`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        if line.starts_with('#') {
            let slug = slug(line.trim_start_matches('#').trim());
            let numbered = (1..).map(|number| format!("{slug}-{number}"));
            let free = std::iter::once(slug.clone()).chain(numbered).find(|name| !found.contains(name));
            found.extend(free);
        }
        let ids = line.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(ids.map(str::to_owned));
    }
    found
}

fn slug(heading: &str) -> String {
    // Of a link in a heading, only its text counts.
    let visible = heading.split("](").enumerate().map(|(index, part)| {
        if index == 0 { part } else { part.split_once(')').map_or(part, |(_, rest)| rest) }
    });
    let visible: String = visible.collect();
    let kept = visible.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        let found = anchors("# Keys, `kid` and [JWKS](x.md)\n## Same\n## Same\n```\n# code\n```\n");
        let expected = ["keys-kid-and-jwks", "same", "same-1"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn long_lines_are_found_outside_tables_and_code() {
        let long = "word ".repeat(30);
        let text = format!("{long}\n| {long} |\n```\n{long}\n```\n{}\n", "x".repeat(130));
        assert_eq!(long_lines(&text).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn links_are_found_outside_code() {
        let text = "See [a](b.md#c) and `[d](e.md)`.\n[f]: g.md\n```\n[h](i.md)\n```\n";
        assert_eq!(links(text).collect::<Vec<_>>(), [(1, "b.md#c"), (2, "g.md")]);
    }
}
