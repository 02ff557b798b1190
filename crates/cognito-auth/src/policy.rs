//! Policies: types that say what a caller must be allowed to do.

use std::fmt;
use std::marker::PhantomData;

use crate::access_token::AccessToken;

/// What a caller must be allowed to do, as a type that a handler names: `Caller<ItemsWrite>`.
///
/// A policy is nothing but its [`Requirements`], so what documents say about it is what is enforced. See
/// [`guide::policies`](crate::guide::policies).
///
/// ```
/// use cognito_auth::{AccessToken, Policy, Requirements};
///
/// /// Callers of the tenant `acme`.
/// struct Acme;
///
/// impl Policy for Acme {
///     const REQUIREMENTS: Requirements = Requirements::Condition {
///         description: "the tenant is acme",
///         holds: |token: &AccessToken| {
///             token.claim::<String>("custom:tenant").is_ok_and(|tenant| tenant.as_deref() == Some("acme"))
///         },
///     };
/// }
/// ```
pub trait Policy: 'static {
    /// What must hold.
    const REQUIREMENTS: Requirements;
}

/// What must hold for a caller to be let in.
#[derive(Debug, Clone, Copy)]
pub enum Requirements {
    /// Any valid access token will do.
    Nothing,
    /// The token grants this scope.
    Scope(&'static str),
    /// The user is in this group (`cognito:groups`).
    Group(&'static str),
    /// All of these hold.
    AllOf(&'static [Requirements]),
    /// At least one of these holds.
    AnyOf(&'static [Requirements]),
    /// The token fulfils a condition of the application's own.
    Condition {
        /// The condition in words, for documents and logs.
        description: &'static str,
        /// Whether the condition holds. It must not wait for anything.
        holds: fn(&AccessToken) -> bool,
    },
}

/// One way to fulfil requirements: everything in it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alternative {
    /// The scopes to be granted.
    pub scopes: Vec<&'static str>,
    /// The groups to be in.
    pub groups: Vec<&'static str>,
    /// The conditions to fulfil, in words.
    pub conditions: Vec<&'static str>,
}

impl Requirements {
    /// All ways to fulfil the requirements, as the security requirements of an OpenAPI operation list them.
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
        match self {
            Self::Nothing => vec![Alternative::default()],
            Self::Scope(scope) => vec![Alternative { scopes: vec![scope], ..Alternative::default() }],
            Self::Group(group) => vec![Alternative { groups: vec![group], ..Alternative::default() }],
            Self::Condition { description, .. } => {
                vec![Alternative { conditions: vec![description], ..Alternative::default() }]
            }
            Self::AnyOf(any) => any.iter().flat_map(Self::alternatives).collect(),
            Self::AllOf(all) => all.iter().fold(vec![Alternative::default()], |ways, requirement| {
                let further = requirement.alternatives();
                ways.iter().flat_map(|way| further.iter().map(|other| way.and(other))).collect()
            }),
        }
    }

    /// What is missing for the requirements to hold; nothing if they hold. Without `scope_checks` every scope counts as
    /// granted.
    pub(crate) fn missing(&self, token: &AccessToken, scope_checks: bool) -> Option<Alternative> {
        if self.holds(token, scope_checks) {
            return None;
        }
        let missing = |requirement: &Self| requirement.missing(token, scope_checks);
        Some(match self {
            Self::AllOf(all) => {
                all.iter().filter_map(missing).fold(Alternative::default(), |one, other| one.and(&other))
            }
            Self::AnyOf(any) => {
                let ways: Vec<_> = any.iter().filter_map(missing).collect();
                // A client can ask for a scope, but not for a group.
                let best = ways.iter().find(|way| way.is_scopes_only()).or(ways.first());
                best.cloned().unwrap_or_default()
            }
            // There is one way only.
            _ => self.alternatives().pop().unwrap_or_default(),
        })
    }

    fn holds(&self, token: &AccessToken, scope_checks: bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::Scope(scope) => !scope_checks || token.has_scope(scope),
            Self::Group(group) => token.in_group(group),
            Self::Condition { holds, .. } => holds(token),
            Self::AllOf(all) => all.iter().all(|requirement| requirement.holds(token, scope_checks)),
            Self::AnyOf(any) => any.iter().any(|requirement| requirement.holds(token, scope_checks)),
        }
    }

    /// The scopes without which the requirements cannot hold, however else they are fulfilled.
    pub(crate) fn indispensable_scopes(&self) -> Vec<&'static str> {
        match self {
            Self::Scope(scope) => vec![scope],
            Self::AllOf(all) => all.iter().flat_map(Self::indispensable_scopes).collect(),
            _ => Vec::new(),
        }
    }
}

impl Alternative {
    fn and(&self, other: &Self) -> Self {
        Self {
            scopes: union(&self.scopes, &other.scopes),
            groups: union(&self.groups, &other.groups),
            conditions: union(&self.conditions, &other.conditions),
        }
    }

    fn is_scopes_only(&self) -> bool {
        self.groups.is_empty() && self.conditions.is_empty()
    }
}

/// Both lists in their order, without what is there already.
pub(crate) fn union(one: &[&'static str], other: &[&'static str]) -> Vec<&'static str> {
    let mut union = one.to_vec();
    union.extend(other.iter().filter(|name| !one.contains(name)));
    union
}

/// The requirements in words, such as `scope items/write and group admins`.
impl fmt::Display for Requirements {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("any access token"),
            Self::Scope(scope) => write!(formatter, "scope {scope}"),
            Self::Group(group) => write!(formatter, "group {group}"),
            Self::Condition { description, .. } => formatter.write_str(description),
            Self::AllOf(all) => write_joined(formatter, all, " and "),
            Self::AnyOf(any) => write_joined(formatter, any, " or "),
        }
    }
}

fn write_joined(formatter: &mut fmt::Formatter<'_>, list: &[Requirements], word: &str) -> fmt::Result {
    for (index, requirement) in list.iter().enumerate() {
        formatter.write_str(if index == 0 { "" } else { word })?;
        match requirement {
            Requirements::AllOf(_) | Requirements::AnyOf(_) => write!(formatter, "({requirement})")?,
            _ => write!(formatter, "{requirement}")?,
        }
    }
    Ok(())
}

/// The policy that any valid access token fulfils.
#[derive(Debug)]
pub struct Authenticated;

impl Policy for Authenticated {
    const REQUIREMENTS: Requirements = Requirements::Nothing;
}

/// A type that stands for a scope. Declare it with [`scope!`](crate::scope).
pub trait Scope: 'static {
    /// The scope as tokens spell it, `<resource server>/<name>`.
    const NAME: &'static str;
}

/// The policy that the token grants the scope `S`. A type declared with [`scope!`](crate::scope) says the same by itself.
pub struct HasScope<S>(PhantomData<S>);

impl<S: Scope> Policy for HasScope<S> {
    const REQUIREMENTS: Requirements = Requirements::Scope(S::NAME);
}

/// A type that stands for a group. Declare it with [`group!`](crate::group).
pub trait Group: 'static {
    /// The group's name in the pool.
    const NAME: &'static str;
}

/// The policy that the user is in the group `G`. A type declared with [`group!`](crate::group) says the same by itself.
pub struct InGroup<G>(PhantomData<G>);

impl<G: Group> Policy for InGroup<G> {
    const REQUIREMENTS: Requirements = Requirements::Group(G::NAME);
}

/// The policy that at least one policy of the tuple `T` is fulfilled. The tuple itself asks for all of them.
pub struct AnyOf<T>(PhantomData<T>);

macro_rules! tuples_are_policies {
    ($(($($policy:ident),+))+) => {$(
        impl<$($policy: Policy),+> Policy for ($($policy,)+) {
            const REQUIREMENTS: Requirements = Requirements::AllOf(&[$($policy::REQUIREMENTS),+]);
        }

        impl<$($policy: Policy),+> Policy for AnyOf<($($policy,)+)> {
            const REQUIREMENTS: Requirements = Requirements::AnyOf(&[$($policy::REQUIREMENTS),+]);
        }
    )+};
}

tuples_are_policies! {
    (A)
    (A, B)
    (A, B, C)
    (A, B, C, D)
    (A, B, C, D, E)
    (A, B, C, D, E, F)
}

/// Declares a type that stands for a scope and is a [`Policy`].
///
/// A name that cannot be a scope (RFC 6749, section 3.3) does not compile.
///
/// ```
/// cognito_auth::scope!(
///     /// May read items.
///     pub ItemsRead = "items/read"
/// );
/// ```
///
/// ```compile_fail
/// cognito_auth::scope!(pub Both = "items/read items/write");
/// ```
#[macro_export]
macro_rules! scope {
    ($(#[$attribute:meta])* $visibility:vis $name:ident = $scope:literal $(;)?) => {
        $(#[$attribute])*
        #[doc = concat!("\n\nThe scope `", $scope, "`.")]
        #[derive(Debug)]
        $visibility struct $name;

        impl $crate::Scope for $name {
            const NAME: &'static str = {
                assert!($crate::policy::is_scope($scope), "a scope is printable ASCII without space, quote and backslash");
                $scope
            };
        }

        impl $crate::Policy for $name {
            const REQUIREMENTS: $crate::Requirements = $crate::Requirements::Scope(<$name as $crate::Scope>::NAME);
        }
    };
}

/// Declares a type that stands for a group and is a [`Policy`].
///
/// ```
/// cognito_auth::group!(
///     /// Those who run the service.
///     pub Admins = "admins"
/// );
/// ```
#[macro_export]
macro_rules! group {
    ($(#[$attribute:meta])* $visibility:vis $name:ident = $group:literal $(;)?) => {
        $(#[$attribute])*
        #[doc = concat!("\n\nThe group `", $group, "`.")]
        #[derive(Debug)]
        $visibility struct $name;

        impl $crate::Group for $name {
            const NAME: &'static str = $group;
        }

        impl $crate::Policy for $name {
            const REQUIREMENTS: $crate::Requirements = $crate::Requirements::Group(<$name as $crate::Group>::NAME);
        }
    };
}

/// Whether a name can be a scope: `%x21 / %x23-5B / %x5D-7E` (RFC 6749, section 3.3).
#[doc(hidden)]
#[must_use]
pub const fn is_scope(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_graphic() || bytes[index] == b'"' || bytes[index] == b'\\' {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty()
}
