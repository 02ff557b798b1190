//! Points at which tests kill the program, to see what a crash leaves behind.

/// Ends the process as a kill would, if `ITEMS_CRASH_AT` names this point.
///
/// Debug builds only: a release build has neither the variable nor the check.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    if std::env::var_os("ITEMS_CRASH_AT").is_some_and(|at| at == name) {
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn point(_: &str) {}
