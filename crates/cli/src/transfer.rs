//! Bytes between files and S3: streamed, verified, and resumed or repeated when a connection breaks.

mod attempt;
mod download;
mod upload;

pub(crate) use self::{
    download::{Target, download},
    upload::upload,
};
