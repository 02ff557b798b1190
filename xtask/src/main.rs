//! The contributor's commands, without a tool to install: `cargo xtask check` and `cargo xtask ci`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command-line program")]

mod check;
mod circles;
mod documents;
mod imports;
mod rename;
mod repository;

use std::process::ExitCode;

use repository::Repository;

const USAGE: &str = "\
Usage: cargo xtask <command>

  check      format, circular imports, documents, clippy and the fast tests
  ci         everything that CI runs (.ci/run)
  circles    reports files that import each other in a circle
  documents  checks links, line lengths and the word count of the Markdown files
  rename <noun> [<plural>]
             names the sample's resource `items` after yours (docs/your-own.md)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = Repository::find().and_then(|repository| match arguments[..] {
        ["check"] => check::check(&repository),
        ["ci"] => check::run(&repository, "bash", &[".ci/run"]),
        ["circles"] => circles::check(&repository),
        ["documents"] => documents::check(&repository),
        ["rename", noun] => rename::rename(&repository, noun, &format!("{noun}s")),
        ["rename", noun, plural] => rename::rename(&repository, noun, plural),
        _ => Err(USAGE.to_owned()),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
