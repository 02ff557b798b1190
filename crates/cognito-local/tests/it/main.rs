//! The pool's endpoints and pages, through its router and over TCP.

mod authorize;
mod guard;
mod over_tcp;
mod sign_in;
mod support;
mod token;
