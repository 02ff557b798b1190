//! The paths of Rust modules, resolved to the files that define the names.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::tokens;

/// A module's path from the crate root; the first part names the root file (`lib` or `main`).
type ModulePath = Vec<String>;

/// A crate's modules by their path.
#[derive(Default)]
struct Modules(BTreeMap<ModulePath, Module>);

/// One module, in a file of its own or inline.
#[derive(Default)]
struct Module {
    file: String,
    /// The names that `use` brings in, with the paths they stand for.
    imports: BTreeMap<String, Vec<String>>,
    /// The paths of `use …::*`, with their `*`.
    globs: Vec<Vec<String>>,
    /// Paths in expressions, types and macros.
    paths: BTreeSet<Vec<String>>,
}

/// Returns the pairs (file, file that defines a name it uses) of one crate's files, which are given with their text.
pub(crate) fn arrows(folder: &str, files: &[(String, String)]) -> BTreeSet<(String, String)> {
    let modules = Modules::read(folder, files);
    let mut found = BTreeSet::new();
    for (path, module) in &modules.0 {
        let used = module.imports.values().chain(&module.globs).chain(&module.paths);
        for target in used.filter_map(|used| modules.target(path, used, 0)) {
            if target != module.file && !is_ancestor(&target, &module.file) {
                found.insert((module.file.clone(), target));
            }
        }
    }
    found
}

impl Modules {
    fn read(folder: &str, files: &[(String, String)]) -> Self {
        let mut modules = Self::default();
        let roots: Vec<_> = files.iter().filter(|(file, _)| is_root(folder, file)).collect();
        for (root, _) in roots {
            let texts = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
            let path = vec![root.clone()];
            modules.read_file(folder, &texts, path, root);
        }
        modules
    }

    /// Reads a file and the files of its `mod name;`.
    fn read_file(&mut self, folder: &str, texts: &BTreeMap<&str, &str>, path: ModulePath, file: &str) {
        let Some(text) = texts.get(file) else { return };
        let mut reader = Reader { modules: self, file, tokens: tokens(text), at: 0, children: Vec::new() };
        reader.module(path);
        for child in std::mem::take(&mut reader.children) {
            let inner = child[1..].join("/");
            let candidates = [format!("{folder}/{inner}.rs"), format!("{folder}/{inner}/mod.rs")];
            if let Some(file) = candidates.iter().find(|file| texts.contains_key(file.as_str())) {
                self.read_file(folder, texts, child, file);
            }
        }
    }

    /// The file that `used` leads to from the module `from`; `None` for other crates' names and for modules.
    fn target(&self, from: &ModulePath, used: &[String], depth: usize) -> Option<String> {
        // Imports of imports are short chains; the limit only ends a `use` that names itself.
        let (first, rest) = used.split_first().filter(|_| depth < 16)?;
        match first.as_str() {
            "crate" => self.walk(vec![from[0].clone()], rest),
            "self" => self.walk(from.clone(), rest),
            "super" => self.walk(parent(from)?, rest),
            _ if self.child(from, first).is_some() => self.walk(from.clone(), used),
            _ => {
                let import =
                    self.0.get(from)?.imports.get(first).filter(|import| import.as_slice() != used)?;
                let full: Vec<_> = import.iter().chain(rest).cloned().collect();
                self.target(from, &full, depth + 1)
            }
        }
    }

    /// Follows the modules that `rest` names; the name behind them belongs to the last one.
    fn walk(&self, mut at: ModulePath, rest: &[String]) -> Option<String> {
        for name in rest {
            match self.child(&at, name) {
                _ if name == "super" => at = parent(&at)?,
                Some(child) => at = child,
                None => return Some(self.0.get(&at)?.file.clone()),
            }
        }
        None
    }

    fn child(&self, of: &ModulePath, name: &str) -> Option<ModulePath> {
        let mut path = of.clone();
        path.push(name.to_owned());
        self.0.contains_key(&path).then_some(path)
    }
}

fn parent(path: &ModulePath) -> Option<ModulePath> {
    (path.len() > 1).then(|| path[..path.len() - 1].to_vec())
}

/// A file may use what the module that contains it defines: `a/b.rs` is a part of `a.rs`.
fn is_ancestor(target: &str, file: &str) -> bool {
    let (folder, name) = target.rsplit_once('/').unwrap_or(("", target));
    let folder = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder,
        _ => target.trim_end_matches(".rs"),
    };
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn is_root(folder: &str, file: &str) -> bool {
    let inside = file.strip_prefix(folder).unwrap_or(file);
    inside == "/lib.rs" || inside == "/main.rs" || inside.starts_with("/bin/")
}

/// Reads the tokens of one file.
struct Reader<'a> {
    modules: &'a mut Modules,
    file: &'a str,
    tokens: Vec<String>,
    at: usize,
    /// The modules that the file declares with `mod name;`.
    children: Vec<ModulePath>,
}

impl Reader<'_> {
    /// Reads up to the brace that closes the module, or the file's end.
    fn module(&mut self, path: ModulePath) {
        let mut module = Module { file: self.file.to_owned(), ..Module::default() };
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                "mod" => self.submodule(&path),
                "use" => self.use_tree(&[], &mut module),
                "::" => {}
                _ if self.peek(0) == Some("::") => self.path(token, &mut module),
                _ => {}
            }
        }
        self.modules.0.insert(path, module);
    }

    fn submodule(&mut self, parent: &ModulePath) {
        let mut path = parent.clone();
        path.extend(self.next());
        match self.next().as_deref() {
            Some("{") => self.module(path),
            Some(";") => self.children.push(path),
            _ => {}
        }
    }

    /// One branch of a `use`, up to its `,`, `;` or closing brace.
    fn use_tree(&mut self, prefix: &[String], module: &mut Module) {
        let mut path = prefix.to_vec();
        while let Some(token) = self.next() {
            match token.as_str() {
                "::" => {}
                "{" => return self.use_group(&path, module),
                "*" => {
                    path.push(token);
                    return module.globs.push(path);
                }
                "as" => {
                    let name = self.next().unwrap_or_default();
                    // Each `as _` is an import of its own.
                    let name = if name == "_" { format!("_ {}", path.join("::")) } else { name };
                    module.imports.insert(name, path);
                    return;
                }
                "self" if !path.is_empty() => {}
                _ => path.push(token),
            }
            if matches!(self.peek(0), Some("," | ";" | "}")) {
                break;
            }
        }
        if let Some(name) = path.last().cloned() {
            module.imports.insert(name, path);
        }
    }

    fn use_group(&mut self, prefix: &[String], module: &mut Module) {
        while self.peek(0).is_some_and(|token| token != "}") {
            self.use_tree(prefix, module);
            if self.peek(0) == Some(",") {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn path(&mut self, first: String, module: &mut Module) {
        let mut path = vec![first];
        while self.peek(0) == Some("::") && self.peek(1).is_some_and(is_name) {
            path.extend(self.peek(1).map(str::to_owned));
            self.at += 2;
        }
        module.paths.insert(path);
    }

    fn next(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(String::as_str)
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows_of(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(f, text)| (format!("src/{f}"), (*text).to_owned())).collect();
        let short = |file: String| file.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        arrows("src", &files)
            .into_iter()
            .map(|(from, to)| format!("{} > {}", short(from), short(to)))
            .collect()
    }

    #[test]
    fn nested_braces_and_inline_paths_are_arrows() {
        let found = arrows_of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::{b::{self, inner::{D}}, std::fmt}; fn f() { crate::c::g::<u8>(); b::h() }"),
            ("b.rs", "pub mod inner; pub fn h() {}"),
            ("b/inner.rs", "pub struct D; fn k() { super::h() }"),
            ("c.rs", "pub fn g<T>() {}"),
        ]);
        assert_eq!(found, ["a > b", "a > b/inner", "a > c"]);
    }

    #[test]
    fn renamed_modules_and_globs_are_followed() {
        let found = arrows_of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b as other; pub struct A; fn f() { other::g() }"),
            ("b.rs", "use super::a::*; pub fn g() {}"),
        ]);
        assert_eq!(found, ["a > b", "b > a"]);
    }

    #[test]
    fn submodule_can_use_its_parent() {
        let found = arrows_of(&[
            ("lib.rs", "mod a; pub struct L;"),
            ("a.rs", "mod b; use b::B; pub struct A;"),
            ("a/b.rs", "use super::A; use crate::L; pub struct B;"),
        ]);
        assert_eq!(found, ["a > a/b"]);
    }

    #[test]
    fn test_code_is_ignored() {
        let found = arrows_of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
            ("b.rs", "use crate::a::A; pub struct B;"),
        ]);
        assert_eq!(found, ["b > a"]);
    }
}
