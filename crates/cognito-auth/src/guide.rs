//! How it works, page by page.

pub mod key_set {
    //! How keys are fetched and kept.
}
pub mod policies {
    //! How to say what a caller must be allowed to do.
}
pub mod rules {
    //! The rules of verification and their sources.
}
