//! Step-up authentication (RFC 9470).

use std::time::Duration;

use axum::http::header::WWW_AUTHENTICATE;
use cognito_auth::testing::{TestClock, TestPool};
use cognito_auth::{
    AccessToken, AnyOf, MaxAge, Policy, RecentSignIn, RejectionKind, ResourceServer, group, scope,
};

scope!(ItemsWrite = "items/write");
group!(Admins = "admins");

type Recent = MaxAge<300>;

struct Fixture {
    pool: TestPool,
    clock: TestClock,
    server: ResourceServer,
}

impl Fixture {
    fn new() -> Self {
        let clock = TestClock::new();
        let pool = TestPool::new().with_clock(&clock);
        Self { server: pool.resource_server(), pool, clock }
    }

    async fn verify(&self, raw: &str) -> AccessToken {
        self.server.verifier().verify_access(raw).await.unwrap()
    }
}

#[tokio::test]
async fn sign_in_is_recent_until_max_age_and_skew_have_passed() {
    let fixture = Fixture::new();
    let token = fixture.verify(&fixture.pool.user("alice").access_token()).await;
    assert!(fixture.server.authorize::<Recent>(&token).is_ok());
    fixture.clock.advance(Duration::from_secs(310));
    assert!(fixture.server.authorize::<Recent>(&token).is_ok(), "the clock skew is 10 s");
    fixture.clock.advance(Duration::from_secs(1));
    assert!(fixture.server.authorize::<Recent>(&token).is_err());
}

#[tokio::test]
async fn old_sign_in_is_challenged_with_max_age() {
    let fixture = Fixture::new();
    let token = fixture.verify(&fixture.pool.user("alice").claim("auth_time", 0.into()).access_token()).await;
    let rejection = fixture.server.authorize::<Recent>(&token).unwrap_err();
    assert_eq!(rejection.kind(), RejectionKind::InsufficientAuthentication);
    assert_eq!((rejection.status().as_u16(), rejection.max_age()), (401, Some(Duration::from_secs(300))));
    assert_eq!(
        rejection.headers()[WWW_AUTHENTICATE],
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"A more recent sign-in is required.\", max_age=\"300\""
    );
}

#[tokio::test]
async fn token_without_sign_in_is_never_recent() {
    let fixture = Fixture::new();
    let without = fixture.verify(&fixture.pool.user("alice").without_claim("auth_time").access_token()).await;
    let machine = fixture.verify(&fixture.pool.machine().access_token()).await;
    assert!(fixture.server.authorize::<Recent>(&without).is_err());
    assert!(fixture.server.authorize::<Recent>(&machine).is_err());
}

#[tokio::test]
async fn new_sign_in_is_requested_only_if_it_is_sufficient() {
    let fixture = Fixture::new();
    let old = |user: &str| fixture.pool.user(user).claim("auth_time", 0.into());
    let bob = fixture.verify(&old("bob").access_token()).await;
    let kind = |token: &AccessToken| fixture.server.authorize::<(Admins, Recent)>(token).unwrap_err().kind();
    assert_eq!(kind(&bob), RejectionKind::Forbidden, "a new sign-in does not put him into the group");
    let alice = fixture.verify(&old("alice").in_group("admins").access_token()).await;
    assert_eq!(kind(&alice), RejectionKind::InsufficientAuthentication);

    let rejection = fixture.server.authorize::<(ItemsWrite, Recent)>(&bob).unwrap_err();
    assert_eq!(rejection.kind(), RejectionKind::InsufficientAuthentication);
    assert_eq!(rejection.scopes(), ["items/write"], "one sign-in gets both");
    let either = fixture.server.authorize::<AnyOf<(Admins, Recent)>>(&bob).unwrap_err();
    assert_eq!(either.kind(), RejectionKind::InsufficientAuthentication);
}

#[test]
fn alternative_contains_the_shortest_max_age() {
    let requirements = <(Admins, MaxAge<600>, Recent)>::REQUIREMENTS;
    assert_eq!(requirements.alternatives()[0].max_age, Some(Duration::from_secs(300)));
    assert_eq!(
        <(Admins, Recent)>::REQUIREMENTS.to_string(),
        "group admins and a sign-in within the last 300 s"
    );
}

#[tokio::test]
async fn age_of_a_recent_sign_in_is_a_setting_of_the_server() {
    let Fixture { pool, clock, server } = Fixture::new();
    let raw = pool.user("alice").in_group("admins").access_token();
    let token = server.verifier().verify_access(&raw).await.unwrap();
    let strict = ResourceServer::builder(server.verifier().clone()).recent_sign_in(Duration::from_secs(60));
    let strict = strict.build().unwrap();
    assert!(strict.authorize::<(Admins, RecentSignIn)>(&token).is_ok());

    clock.advance(Duration::from_secs(71));
    let rejection = strict.authorize::<(Admins, RecentSignIn)>(&token).unwrap_err();
    assert_eq!(rejection.kind(), RejectionKind::InsufficientAuthentication);
    assert_eq!(rejection.max_age(), Some(Duration::from_secs(60)));
    assert!(
        server.authorize::<(Admins, RecentSignIn)>(&token).is_ok(),
        "without the setting any sign-in does"
    );

    let documented = |server: &ResourceServer| server.alternatives::<(Admins, RecentSignIn)>()[0].max_age;
    assert_eq!((documented(&strict), documented(&server)), (Some(Duration::from_secs(60)), None));
}
