//! Sign-in by the Secure Remote Password protocol.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U256, U512, U3072};
use serde_json::{Value, json};

use crate::support::{ALICE, TestPool};

const MODULUS: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
    BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF";

/// A client of the protocol.
struct Client {
    params: FixedMontyParams<{ U3072::LIMBS }>,
    secret: U256,
}

impl Client {
    fn new() -> Self {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).unwrap();
        let params = FixedMontyParams::new_vartime(Odd::<U3072>::from_be_hex(MODULUS));
        Self { params, secret: U256::from_be_slice(&secret) }
    }

    fn element(&self, value: &U3072) -> FixedMontyForm<{ U3072::LIMBS }> {
        FixedMontyForm::new(value, &self.params)
    }

    fn public(&self) -> U3072 {
        self.element(&U3072::from_u8(2)).pow(&self.secret).retrieve()
    }

    fn public_hex(&self) -> String {
        hex::encode(self.public().to_be_bytes())
    }

    /// The signature for a challenge.
    fn sign(&self, parameters: &Value, password: &str, timestamp: &str) -> String {
        let text = |name: &str| parameters[name].as_str().unwrap();
        let server_hex = format!("{:0>768}", text("SRP_B"));
        let server = U3072::from_be_hex(&server_hex);
        let user_id = text("USER_ID_FOR_SRP");
        let salt = hex::decode(text("SALT")).unwrap();
        let u = sha256(&[&padded(&self.public()), &padded(&server)]);
        let identity = sha256(&[format!("LocalPool{user_id}:{password}").as_bytes()]);
        let x = U256::from_be_slice(&sha256(&[&salt, &identity]));
        let modulus = [&[0], &hex::decode(MODULUS).unwrap()[..]].concat();
        let k = U256::from_be_slice(&sha256(&[&modulus, &[2]]));
        let base =
            self.element(&server) - self.element(&k.resize()) * self.element(&U3072::from_u8(2)).pow(&x);
        let exponent = self
            .secret
            .resize::<{ U512::LIMBS + 1 }>()
            .wrapping_add(&U256::from_be_slice(&u).concatenating_mul(&x).resize());
        let common = base.pow(&exponent).retrieve();
        let u_salt = if u[0] >= 0x80 { [&[0], &u[..]].concat() } else { u };
        let extracted = mac(&u_salt, &[&padded(&common)]);
        let key = &mac(&extracted, &[b"Caldera Derived Key\x01"])[..16];
        let block = STANDARD.decode(text("SECRET_BLOCK")).unwrap();
        STANDARD.encode(mac(key, &[b"LocalPool", user_id.as_bytes(), &block, timestamp.as_bytes()]))
    }
}

fn padded(value: &U3072) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let bytes: Vec<u8> = bytes.as_ref().iter().copied().skip_while(|byte| *byte == 0).collect();
    if bytes[0] >= 0x80 { [&[0], &bytes[..]].concat() } else { bytes }
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest::digest(&digest::SHA256, &parts.concat()).as_ref().to_vec()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &parts.concat()).as_ref().to_vec()
}

const TIMESTAMP: &str = "Tue Dec 1 09:05:07 UTC 2026";

async fn start(pool: &TestPool, client: &Client, username: &str) -> Value {
    let input = json!({
        "ClientId": "localweb",
        "AuthFlow": "USER_SRP_AUTH",
        "AuthParameters": { "USERNAME": username, "SRP_A": client.public_hex() },
    });
    let answer = pool.call("InitiateAuth", &input).await;
    answer.challenge("PASSWORD_VERIFIER");
    answer.output()
}

fn answer_to(challenge: &Value, username: &str, signature: &str) -> Value {
    json!({
        "ClientId": "localweb",
        "ChallengeName": "PASSWORD_VERIFIER",
        "Session": challenge["Session"],
        "ChallengeResponses": {
            "USERNAME": username,
            "PASSWORD_CLAIM_SECRET_BLOCK": challenge["ChallengeParameters"]["SECRET_BLOCK"],
            "PASSWORD_CLAIM_SIGNATURE": signature,
            "TIMESTAMP": TIMESTAMP,
        },
    })
}

#[tokio::test]
async fn right_password_signs_in_with_and_without_the_session() {
    let pool = TestPool::open().await;
    for (username, keeps_session) in [("alice", true), ("alice@example.com", true), ("ALICE", false)] {
        let client = Client::new();
        let challenge = start(&pool, &client, username).await;
        let signature = client.sign(&challenge["ChallengeParameters"], ALICE.1, TIMESTAMP);
        let mut answer = answer_to(&challenge, username, &signature);
        if !keeps_session {
            answer["Session"] = Value::Null;
        }
        let _ = pool.call("RespondToAuthChallenge", &answer).await.tokens();
        pool.call("RespondToAuthChallenge", &answer)
            .await
            .assert_not_authorized("Invalid session for the user, session can only be used once.");
    }
}

#[tokio::test]
async fn wrong_proofs_give_no_token_and_lock_the_name() {
    let pool = TestPool::open().await;
    for attempt in 0..6 {
        let client = Client::new();
        let challenge = start(&pool, &client, "alice").await;
        let parameters = &challenge["ChallengeParameters"];
        let signature = match attempt {
            0 => client.sign(parameters, "Wrong-land1", TIMESTAMP),
            1 => client.sign(parameters, ALICE.1, "Tue Dec 1 09:05:08 UTC 2026"),
            2 => Client::new().sign(parameters, ALICE.1, TIMESTAMP),
            3 => STANDARD.encode([0; 32]),
            4 => String::from("not base64"),
            _ => client.sign(parameters, ALICE.1, TIMESTAMP),
        };
        let answer = pool.call("RespondToAuthChallenge", &answer_to(&challenge, "alice", &signature)).await;
        match attempt {
            5 => answer.assert_not_authorized("Password attempts exceeded"),
            _ => answer.assert_not_authorized("Incorrect username or password."),
        }
        if attempt == 4 {
            let input = json!({
                "ClientId": "localweb",
                "AuthFlow": "USER_SRP_AUTH",
                "AuthParameters": { "USERNAME": "alice", "SRP_A": "2" },
            });
            pool.call("InitiateAuth", &input).await.assert_not_authorized("Password attempts exceeded");
            pool.clock.advance(std::time::Duration::from_secs(2));
            // The next challenge starts while the name is free, and its answer comes after another failure.
            let client = Client::new();
            let challenge = start(&pool, &client, "alice").await;
            let _ = pool.sign_in_by_api(("alice", "Wrong-land1")).await;
            let signature = client.sign(&challenge["ChallengeParameters"], ALICE.1, TIMESTAMP);
            pool.call("RespondToAuthChallenge", &answer_to(&challenge, "alice", &signature))
                .await
                .assert_not_authorized("Password attempts exceeded");
            return;
        }
    }
}

#[tokio::test]
async fn public_value_that_would_make_the_key_known_is_rejected() {
    let pool = TestPool::open().await;
    for public in ["0", "00", MODULUS, &format!("{MODULUS}0"), "g"] {
        let input = json!({
            "ClientId": "localweb",
            "AuthFlow": "USER_SRP_AUTH",
            "AuthParameters": { "USERNAME": "alice", "SRP_A": public },
        });
        let answer = pool.call("InitiateAuth", &input).await;
        assert_eq!(answer.json()["__type"], "InvalidParameterException", "{public}");
    }
}

#[tokio::test]
async fn unknown_user_gets_a_challenge_that_stays_the_same() {
    let pool = TestPool::open().await;
    let client = Client::new();
    let (first, second) = (start(&pool, &client, "nobody").await, start(&pool, &client, "nobody").await);
    let (first, second) = (&first["ChallengeParameters"], &second["ChallengeParameters"]);
    for same in ["SALT", "USER_ID_FOR_SRP", "USERNAME"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    assert_ne!(first["SRP_B"], second["SRP_B"]);
    let challenge = start(&pool, &client, "nobody").await;
    let signature = client.sign(&challenge["ChallengeParameters"], ALICE.1, TIMESTAMP);
    pool.call("RespondToAuthChallenge", &answer_to(&challenge, "nobody", &signature))
        .await
        .assert_not_authorized("Incorrect username or password.");
}

#[tokio::test]
async fn session_of_another_user_or_client_is_rejected() {
    let pool = TestPool::with(|config| {
        let other = cognito_local::ClientConfig { id: "other".into(), ..config.clients[0].clone() };
        config.clients.push(other);
    })
    .await;
    let client = Client::new();
    let challenge = start(&pool, &client, "alice").await;
    let signature = client.sign(&challenge["ChallengeParameters"], ALICE.1, TIMESTAMP);
    let mut answer = answer_to(&challenge, "alice", &signature);
    answer["ClientId"] = json!("other");
    pool.call("RespondToAuthChallenge", &answer).await.assert_not_authorized("Invalid session for the user.");
    let bobs = start(&pool, &client, "bob").await;
    answer["ClientId"] = json!("localweb");
    answer["Session"] = bobs["Session"].clone();
    pool.call("RespondToAuthChallenge", &answer)
        .await
        .assert_not_authorized("Incorrect username or password.");
}

#[tokio::test]
async fn pool_without_verifiers_has_no_srp() {
    let pool = TestPool::with(|config| config.store_srp_verifiers = false).await;
    let input = json!({
        "ClientId": "localweb",
        "AuthFlow": "USER_SRP_AUTH",
        "AuthParameters": { "USERNAME": "alice", "SRP_A": "2" },
    });
    pool.call("InitiateAuth", &input)
        .await
        .assert_exception("InvalidParameterException", "USER_SRP_AUTH is not enabled for the client.");
    let _ = pool.sign_in_by_api(ALICE).await.tokens();
}
