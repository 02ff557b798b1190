//! The files of the repository, as Git lists them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The repository that contains this crate.
pub(crate) struct Repository {
    root: PathBuf,
    files: Vec<String>,
}

impl Repository {
    /// Lists the tracked files, and new files that are not ignored.
    ///
    /// # Errors
    ///
    /// Git is not installed, or this is not a clone.
    pub(crate) fn find() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .map_err(|error| format!("cannot start git: {error}"))?;
        if !output.status.success() {
            return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let listed = String::from_utf8_lossy(&output.stdout);
        // Git also lists tracked files that were deleted but not yet staged.
        let mut files: Vec<_> =
            listed.lines().map(str::to_owned).filter(|f| root.join(f).is_file()).collect();
        files.sort();
        files.dedup();
        Ok(Self { root, files })
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The paths of all files, relative to the root, sorted.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Whether the path is a file or a directory of the repository.
    pub(crate) fn contains(&self, path: &str) -> bool {
        path.is_empty() || self.root.join(path).exists()
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file is missing or is not UTF-8.
    pub(crate) fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(self.root.join(path)).map_err(|error| format!("cannot read {path}: {error}"))
    }
}

/// Resolves `relative` against the directory of `file`: `..` and `.` are removed.
pub(crate) fn join(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_resolved_against_the_directory() {
        assert_eq!(join("docs/adr/0001.md", "../deploy.md"), "docs/deploy.md");
        assert_eq!(join("README.md", "./docs/deploy.md"), "docs/deploy.md");
    }
}
