//! Versions of a resource, as preconditions name them (RFC 9110, section 13.1).

/// The version that the caller means to change (`If-Match`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// The header was not sent.
    Absent,
    /// `*`: any version.
    Any,
    /// One of these. A tag that no version can have counts as 0: it matches nothing.
    Versions(Vec<u64>),
}

/// The versions that the caller already has (`If-None-Match`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(pub IfMatch);

/// The preconditions of a write that may also create the resource. Both must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preconditions {
    /// `If-Match`: the resource exists, with one of these versions.
    pub if_match: IfMatch,
    /// `If-None-Match`: the resource does not exist, or has none of these versions.
    pub if_none_match: IfNoneMatch,
}

impl IfNoneMatch {
    /// Whether the caller has this version already.
    pub fn matches(&self, version: u64) -> bool {
        match &self.0 {
            IfMatch::Absent => false,
            IfMatch::Any => true,
            IfMatch::Versions(versions) => versions.contains(&version),
        }
    }
}
