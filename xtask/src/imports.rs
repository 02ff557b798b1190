//! Which file imports which: `use` and inline paths of Rust, relative imports of TypeScript.

pub(crate) mod rust;
mod tokens;
pub(crate) mod typescript;
