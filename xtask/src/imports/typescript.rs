//! The relative imports of TypeScript files.

use std::collections::BTreeSet;

use crate::repository::join;

/// Returns the pairs (file, imported file) among `files`, which are given with their text.
pub(crate) fn arrows(files: &[(String, String)]) -> BTreeSet<(String, String)> {
    let known: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let mut found = BTreeSet::new();
    for (path, text) in files {
        for target in specifiers(text).filter_map(|specifier| resolve(&known, path, specifier)) {
            if target != *path {
                found.insert((path.clone(), target));
            }
        }
    }
    found
}

/// The quoted paths after `from`, `import` and `import(`.
fn specifiers(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(['\'', '"']).filter_map(|(at, quote)| {
        let before = text[..at].trim_end().trim_end_matches('(').trim_end();
        let is_import = before.ends_with("from") || before.ends_with("import");
        let specifier = text[at + 1..].split(quote).next()?;
        (is_import && specifier.starts_with('.')).then_some(specifier)
    })
}

fn resolve(known: &BTreeSet<&str>, from: &str, specifier: &str) -> Option<String> {
    let target = join(from, specifier);
    let stem = target.strip_suffix(".js").unwrap_or(&target);
    let candidates = ["", ".ts", ".tsx", "/index.ts"].map(|suffix| format!("{stem}{suffix}"));
    candidates.into_iter().find(|candidate| known.contains(candidate.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_imports_are_arrows() {
        let files =
            [("lib/a.ts", "import type { B } from './b.ts';\nimport x from 'x';"), ("lib/b.ts", "'a'")];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let expected = BTreeSet::from([("lib/a.ts".to_owned(), "lib/b.ts".to_owned())]);
        assert_eq!(arrows(&files), expected);
    }
}
