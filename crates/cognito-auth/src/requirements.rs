//! What a policy requires, and how a token is checked against it.

use std::fmt;
use std::time::Duration;

use crate::access_token::{AccessToken, Principal};

/// What a caller must fulfil.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Requirements {
    /// Any valid access token is enough.
    Nothing,
    /// The token grants this scope.
    Scope(&'static str),
    /// The user is in this group (`cognito:groups`).
    Group(&'static str),
    /// The user signed in at most this long ago (`auth_time`). Whole seconds count.
    MaxAge(Duration),
    /// The user signed in recently, if the resource server defines how recently
    /// ([`ResourceServerBuilder::recent_sign_in`](crate::ResourceServerBuilder::recent_sign_in)).
    RecentSignIn,
    /// All of these hold.
    AllOf(&'static [Requirements]),
    /// At least one of these holds.
    AnyOf(&'static [Requirements]),
    /// The token fulfils a condition that the application defines.
    Condition {
        /// The condition in words, for documents and logs.
        description: &'static str,
        /// Returns whether the condition holds. It must not block.
        holds: fn(&AccessToken) -> bool,
    },
}

/// A recent sign-in in words, where its maximum age is not known.
const RECENT_SIGN_IN: &str = "a recent sign-in";

/// One way to fulfil requirements: everything in it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alternative {
    /// The required scopes.
    pub scopes: Vec<&'static str>,
    /// The required groups.
    pub groups: Vec<&'static str>,
    /// The required conditions, in words.
    pub conditions: Vec<&'static str>,
    /// The longest time since the user signed in.
    pub max_age: Option<Duration>,
}

/// What requirements are checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) token: &'a AccessToken,
    /// Without scope checks every scope counts as granted.
    pub(crate) checks_scopes: bool,
    /// The maximum age of a recent sign-in. Without one, every sign-in counts as recent.
    pub(crate) recent_sign_in: Option<Duration>,
    /// The time of day in Unix seconds, minus the permitted clock skew.
    pub(crate) now: i64,
}

impl Requirements {
    /// Lists all ways to fulfil the requirements, in the form of the `security` of an OpenAPI operation.
    /// [`ResourceServer::alternatives`](crate::ResourceServer::alternatives) lists those of one resource server.
    ///
    /// ```
    /// use cognito_auth::{AnyOf, InGroup, Policy, group, scope};
    ///
    /// scope!(ItemsRead = "items/read");
    /// group!(Admins = "admins");
    ///
    /// let alternatives = <AnyOf<(ItemsRead, InGroup<Admins>)>>::REQUIREMENTS.alternatives();
    /// assert_eq!(alternatives[0].scopes, ["items/read"]);
    /// assert_eq!(alternatives[1].groups, ["admins"]);
    /// ```
    #[must_use]
    pub fn alternatives(&self) -> Vec<Alternative> {
        self.lacking(&|_| true, None)
    }

    /// Lists all ways to fulfil the requirements where a recent sign-in has this maximum age.
    pub(crate) fn enforced_alternatives(
        &self,
        checks_scopes: bool,
        recent_sign_in: Option<Duration>,
    ) -> Vec<Alternative> {
        let is_enforced = |leaf: &Self| match leaf {
            Self::Scope(_) => checks_scopes,
            Self::RecentSignIn => recent_sign_in.is_some(),
            _ => true,
        };
        self.lacking(&is_enforced, recent_sign_in)
    }

    /// Lists what is missing for each way to fulfil the requirements, without duplicates.
    pub(crate) fn unmet_by(&self, subject: Subject<'_>) -> Vec<Alternative> {
        let mut unmet = Vec::new();
        for way in self.lacking(&|leaf| !leaf.hold_for(subject), subject.recent_sign_in) {
            if !unmet.contains(&way) {
                unmet.push(way);
            }
        }
        unmet
    }

    pub(crate) fn hold_for(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Scope(scope) => !subject.checks_scopes || subject.token.has_scope(scope),
            Self::Group(group) => subject.token.in_group(group),
            Self::MaxAge(max_age) => subject.has_signed_in_within(*max_age),
            Self::RecentSignIn => {
                subject.recent_sign_in.is_none_or(|max_age| subject.has_signed_in_within(max_age))
            }
            Self::Condition { holds, .. } => holds(subject.token),
            Self::AllOf(all) => all.iter().all(|requirement| requirement.hold_for(subject)),
            Self::AnyOf(any) => any.iter().any(|requirement| requirement.hold_for(subject)),
        }
    }

    /// Returns the scopes that every way to fulfil the requirements needs.
    pub(crate) fn indispensable_scopes(&self) -> Vec<&'static str> {
        match self {
            Self::Scope(scope) => vec![scope],
            Self::AllOf(all) => all.iter().flat_map(Self::indispensable_scopes).collect(),
            _ => Vec::new(),
        }
    }

    /// Lists for each way to fulfil the requirements the parts for which `is_lacking` returns `true`.
    fn lacking(&self, is_lacking: &dyn Fn(&Self) -> bool, recent: Option<Duration>) -> Vec<Alternative> {
        match self {
            Self::AnyOf(any) => any.iter().flat_map(|part| part.lacking(is_lacking, recent)).collect(),
            Self::AllOf(all) => all.iter().fold(vec![Alternative::default()], |ways, requirement| {
                let further = requirement.lacking(is_lacking, recent);
                ways.iter().flat_map(|way| further.iter().map(|other| way.and(other))).collect()
            }),
            leaf if is_lacking(leaf) => vec![leaf.as_alternative(recent)],
            _ => vec![Alternative::default()],
        }
    }

    fn as_alternative(&self, recent: Option<Duration>) -> Alternative {
        let mut alternative = Alternative::default();
        match self {
            Self::Scope(scope) => alternative.scopes.push(scope),
            Self::Group(group) => alternative.groups.push(group),
            Self::MaxAge(max_age) => alternative.max_age = Some(*max_age),
            Self::RecentSignIn if recent.is_some() => alternative.max_age = recent,
            Self::RecentSignIn => alternative.conditions.push(RECENT_SIGN_IN),
            Self::Condition { description, .. } => alternative.conditions.push(description),
            Self::Nothing | Self::AllOf(_) | Self::AnyOf(_) => {}
        }
        alternative
    }
}

impl Subject<'_> {
    /// A machine client never signs in, so a maximum age is for users only.
    fn has_signed_in_within(&self, max_age: Duration) -> bool {
        let is_user = matches!(self.token.principal(), Principal::User { .. });
        let max_age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        let auth_time = self.token.auth_time_seconds();
        is_user && auth_time.is_some_and(|time| self.now <= time.saturating_add(max_age))
    }
}

impl Alternative {
    /// Whether a client can obtain all of this with a new sign-in: it can ask for scopes, but not for groups.
    pub(crate) fn is_obtainable(&self) -> bool {
        self.groups.is_empty() && self.conditions.is_empty()
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            scopes: union(&self.scopes, &other.scopes),
            groups: union(&self.groups, &other.groups),
            conditions: union(&self.conditions, &other.conditions),
            max_age: [self.max_age, other.max_age].into_iter().flatten().min(),
        }
    }
}

/// Both lists in their order, without duplicates.
pub(crate) fn union(one: &[&'static str], other: &[&'static str]) -> Vec<&'static str> {
    let mut union = one.to_vec();
    union.extend(other.iter().filter(|name| !one.contains(name)));
    union
}

/// The requirements in words, such as `scope items/write and group admins`.
impl fmt::Display for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("any access token"),
            Self::Scope(scope) => write!(f, "scope {scope}"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::MaxAge(max_age) => write!(f, "a sign-in within the last {} s", max_age.as_secs()),
            Self::RecentSignIn => f.write_str(RECENT_SIGN_IN),
            Self::Condition { description, .. } => f.write_str(description),
            Self::AllOf(all) => write_joined(f, all, " and "),
            Self::AnyOf(any) => write_joined(f, any, " or "),
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, list: &[Requirements], word: &str) -> fmt::Result {
    for (index, requirement) in list.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { word })?;
        match requirement {
            Requirements::AllOf(_) | Requirements::AnyOf(_) => write!(f, "({requirement})")?,
            _ => write!(f, "{requirement}")?,
        }
    }
    Ok(())
}
