//! The AWS API: its protocol, and the operations of users.

mod account;
mod administration;
mod protocol;
mod robustness;
mod sign_in;
mod sign_up;
mod srp;
mod support;
