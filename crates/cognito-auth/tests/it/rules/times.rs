//! The times of a token, to the second.

use std::time::Duration;

use cognito_auth::VerifyError;
use serde_json::json;

use super::{Fixture, assert_rejected};

#[tokio::test]
async fn time_that_is_not_an_integer_from_1970_to_9999_is_rejected() {
    let fixture = Fixture::new();
    let payload = |claim: &str, value: &str| {
        let (issuer, client_id, now) = (fixture.pool.issuer(), fixture.pool.client_id(), fixture.now);
        let mut times = [("exp", (now + 60).to_string()), ("iat", now.to_string()), ("nbf", now.to_string())];
        for time in times.iter_mut().filter(|(name, _)| *name == claim) {
            time.1 = value.to_owned();
        }
        let times = times.map(|(name, value)| format!("\"{name}\":{value}")).join(",");
        format!(r#"{{"iss":"{issuer}","token_use":"access","client_id":"{client_id}",{times}}}"#)
    };
    let sign = |payload: String| fixture.pool.machine().payload_json(payload).access_token();
    fixture.accepted(&sign(payload("", ""))).await;
    for name in ["exp", "iat", "nbf"] {
        for value in [
            "\"1\"",
            "null",
            "1.0",
            "1e10",
            "1e400",
            "true",
            "[1]",
            "{}",
            "-0",
            "9223372036854775808",
            "18446744073709551616",
        ] {
            let rejected = fixture.rejected(&sign(payload(name, value))).await;
            assert_rejected!(rejected, VerifyError::ClaimType { claim, .. } if claim == name);
        }
        let milliseconds = (fixture.now * 1_000).to_string();
        for value in ["-1", "253402300800", "1000000000000000000", &milliseconds] {
            let rejected = fixture.rejected(&sign(payload(name, value))).await;
            assert_rejected!(rejected, VerifyError::ClaimRange { claim } if claim == name);
        }
    }
    for name in ["exp", "iat"] {
        let rejected = fixture.rejected(&fixture.without_claim(name)).await;
        assert_rejected!(rejected, VerifyError::MissingClaim { claim } if claim == name);
    }
    let rejected = fixture.rejected(&fixture.with_claim("auth_time", json!("now"))).await;
    assert_rejected!(rejected, VerifyError::ClaimType { claim: "auth_time", .. });
}

#[tokio::test]
async fn token_expires_exactly_at_exp_plus_skew() {
    for skew in [0, 10, 300] {
        let fixture = Fixture::with(|builder| builder.clock_skew(Duration::from_secs(skew)));
        let skew = skew as i64;
        let issued = fixture.pool.user("alice").claim("iat", json!(fixture.now - 600));
        let expiring = |exp: i64| issued.clone().claim("exp", json!(exp)).access_token();
        fixture.accepted(&expiring(fixture.now - skew + 1)).await;
        for ago in [0, 1, 100] {
            let rejected = fixture.rejected(&expiring(fixture.now - skew - ago)).await;
            let expected = Duration::from_secs((skew + ago) as u64);
            assert_rejected!(rejected, VerifyError::Expired { ago } if ago == expected);
        }
    }
}

#[tokio::test]
async fn token_becomes_valid_exactly_at_nbf_and_iat_minus_skew() {
    let fixture = Fixture::with(|builder| builder.clock_skew(Duration::from_secs(10)));
    for name in ["nbf", "iat"] {
        fixture.accepted(&fixture.with_claim(name, json!(fixture.now + 10))).await;
        let rejected = fixture.rejected(&fixture.with_claim(name, json!(fixture.now + 11))).await;
        assert_rejected!(rejected, VerifyError::NotYetValid { claim, .. } if claim == name);
    }
}

#[tokio::test]
async fn lifetime_longer_than_cognito_allows_is_rejected() {
    let fixture = Fixture::with(|builder| builder.clock_skew(Duration::from_secs(10)));
    let day = 24 * 60 * 60;
    let lifetime = |seconds| fixture.with_claim("exp", json!(fixture.now + seconds));
    let issued_now = |seconds: i64| {
        let alice = fixture.pool.user("alice").claim("iat", json!(fixture.now));
        alice.claim("exp", json!(fixture.now + seconds)).access_token()
    };
    fixture.accepted(&lifetime(day)).await;
    fixture.accepted(&issued_now(day + 10)).await;
    assert_rejected!(fixture.rejected(&issued_now(day + 11)).await, VerifyError::Lifetime { .. });
    for seconds in [0, -1] {
        assert_rejected!(
            fixture.rejected(&issued_now(seconds)).await,
            VerifyError::ClaimRange { claim: "exp" }
        );
    }
}
