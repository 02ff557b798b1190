//! Points at which tests kill the program, to see what a crash leaves behind.

/// Ends the process as a kill would, if `ITEMS_CRASH_AT` names this point. Release builds never do.
pub(crate) fn point(name: &str) {
    if cfg!(debug_assertions) && std::env::var_os("ITEMS_CRASH_AT").is_some_and(|at| at == name) {
        std::process::abort();
    }
}
