//! Auto traits of the public types (Rust API guidelines, C-SEND-SYNC), checked at compile time.

use cognito_auth::alb::{AlbError, AlbUser, AlbVerifier};
use cognito_auth::client::{MachineToken, TokenError, TokenSource};
use cognito_auth::lambda_authorizer::{AuthorizerError, LambdaAuthorizer};
use cognito_auth::tower::{AuthLayer, AuthService};
use cognito_auth::{
    AccessToken, Alternative, AuthRejection, BuildError, Caller, ClaimError, FetchCause, FetchError,
    HttpError, IdToken, IdTokenError, KeySetError, ObjectError, PoolError, Requirements, ResourceServer,
    ResourceServerBuilder, Stats, SyntaxError, UserPool, Verifier, VerifierBuilder, VerifyError,
};

macro_rules! assert_send_sync {
    ($($public:ty),* $(,)?) => {
        const fn is_send_sync<T: Send + Sync>() {}
        const _: () = { $(is_send_sync::<$public>();)* };
    };
}

assert_send_sync!(
    AccessToken,
    AlbError,
    AlbUser,
    AlbVerifier,
    Alternative,
    AuthLayer,
    AuthRejection,
    AuthService<()>,
    AuthorizerError,
    BuildError,
    Caller,
    ClaimError,
    FetchCause,
    FetchError,
    HttpError,
    IdToken,
    IdTokenError,
    KeySetError,
    LambdaAuthorizer,
    MachineToken,
    ObjectError,
    PoolError,
    Requirements,
    ResourceServer,
    ResourceServerBuilder,
    Stats,
    SyntaxError,
    TokenError,
    TokenSource,
    UserPool,
    Verifier,
    VerifierBuilder,
    VerifyError,
);
