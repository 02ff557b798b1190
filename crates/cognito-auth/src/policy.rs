//! Policies: types that state what a caller must fulfil.

use std::marker::PhantomData;
use std::time::Duration;

use crate::requirements::Requirements;

/// What a caller must fulfil, as a type that a handler names: `Caller<ItemsWrite>`.
///
/// A policy consists of its [`Requirements`] alone, so the documents that are generated from it describe what is
/// enforced. See [`guide::policies`](crate::guide::policies).
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy",
    label = "not a policy",
    note = "a policy is a type declared with `scope!` or `group!`, `MaxAge`, a tuple or `AnyOf` of policies, or your own `impl Policy`"
)]
pub trait Policy: 'static {
    /// The requirements.
    const REQUIREMENTS: Requirements;
}

/// The policy that any valid access token fulfils.
#[derive(Debug)]
pub struct Authenticated;

impl Policy for Authenticated {
    const REQUIREMENTS: Requirements = Requirements::Nothing;
}

/// A type that represents a scope. Declare it with [`scope!`](crate::scope).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scope",
    label = "not a scope",
    note = "declare one with `scope!(ItemsRead = \"items/read\")`"
)]
pub trait Scope: 'static {
    /// The scope as tokens spell it, `<resource server>/<name>`.
    const NAME: &'static str;
    /// What the scope permits, in words. Empty if the declaration has no doc comment.
    const DESCRIPTION: &'static str;
}

/// The policy that the token grants the scope `S`. A type declared with [`scope!`](crate::scope) is this policy itself.
pub struct HasScope<S>(PhantomData<S>);

impl<S: Scope> Policy for HasScope<S> {
    const REQUIREMENTS: Requirements = Requirements::Scope(S::NAME);
}

/// A type that represents a group. Declare it with [`group!`](crate::group).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a group",
    label = "not a group",
    note = "declare one with `group!(Admins = \"admins\")`"
)]
pub trait Group: 'static {
    /// The group's name in the pool.
    const NAME: &'static str;
    /// Who is in the group, in words. Empty if the declaration has no doc comment.
    const DESCRIPTION: &'static str;
}

/// The policy that the user is in the group `G`. A type declared with [`group!`](crate::group) is this policy itself.
pub struct InGroup<G>(PhantomData<G>);

impl<G: Group> Policy for InGroup<G> {
    const REQUIREMENTS: Requirements = Requirements::Group(G::NAME);
}

/// The policy that the user signed in within the last `SECONDS` seconds.
///
/// A refreshed token keeps the time of the sign-in (`auth_time`), so the caller must sign in again; the response says so
/// with the challenge `insufficient_user_authentication` and `max_age` (RFC 9470, section 3). A machine client never
/// fulfils it.
pub struct MaxAge<const SECONDS: u64>;

impl<const SECONDS: u64> Policy for MaxAge<SECONDS> {
    const REQUIREMENTS: Requirements = Requirements::MaxAge(Duration::from_secs(SECONDS));
}

/// The policy that the user signed in recently. How recently is a setting of the resource server,
/// [`recent_sign_in`](crate::ResourceServerBuilder::recent_sign_in); without it, any caller fulfils the policy.
///
/// Otherwise it is the same as [`MaxAge`].
#[derive(Debug)]
pub struct RecentSignIn;

impl Policy for RecentSignIn {
    const REQUIREMENTS: Requirements = Requirements::RecentSignIn;
}

/// The policy that at least one policy of the tuple `T` is fulfilled. The tuple itself requires all of them.
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

/// Declares a type that represents a scope and is a [`Policy`]. Its doc comment becomes
/// [`Scope::DESCRIPTION`](crate::Scope::DESCRIPTION).
///
/// A name that cannot be a scope (RFC 6749, section 3.3) does not compile.
///
/// ```
/// use cognito_auth::Scope;
///
/// cognito_auth::scope! {
///     /// Read items.
///     pub ItemsRead = "items/read";
/// }
/// assert_eq!((ItemsRead::NAME, ItemsRead::DESCRIPTION), ("items/read", "Read items."));
/// ```
///
/// ```compile_fail
/// cognito_auth::scope!(pub Both = "items/read items/write");
/// ```
#[macro_export]
macro_rules! scope {
    ($(#[doc = $doc:literal])* $visibility:vis $name:ident = $scope:literal $(;)?) => {
        $(#[doc = $doc])*
        #[doc = concat!("\n\nThe scope `", $scope, "`.")]
        #[derive(Debug)]
        $visibility struct $name;

        impl $crate::Scope for $name {
            const NAME: &'static str = {
                assert!($crate::__is_scope($scope), "a scope is printable ASCII without space, quote and backslash");
                $scope
            };
            const DESCRIPTION: &'static str = concat!($($doc),*).trim_ascii();
        }

        impl $crate::Policy for $name {
            const REQUIREMENTS: $crate::Requirements = $crate::Requirements::Scope(<$name as $crate::Scope>::NAME);
        }
    };
}

/// Declares a type that represents a group and is a [`Policy`]. Its doc comment becomes
/// [`Group::DESCRIPTION`](crate::Group::DESCRIPTION).
///
/// ```
/// cognito_auth::group! {
///     /// The operators of the service.
///     pub Admins = "admins";
/// }
/// ```
#[macro_export]
macro_rules! group {
    ($(#[doc = $doc:literal])* $visibility:vis $name:ident = $group:literal $(;)?) => {
        $(#[doc = $doc])*
        #[doc = concat!("\n\nThe group `", $group, "`.")]
        #[derive(Debug)]
        $visibility struct $name;

        impl $crate::Group for $name {
            const NAME: &'static str = $group;
            const DESCRIPTION: &'static str = concat!($($doc),*).trim_ascii();
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
