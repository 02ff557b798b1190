//! The crate `openidconnect` goes the whole way: discovery, code + PKCE, userinfo, refresh, revoke.

use cognito_local::{LocalPool, PoolConfig, serve};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreGrantType, CoreIdTokenVerifier, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType, CoreRevocableToken,
    CoreSubjectIdentifierType, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthorizationCode, ClientId, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, ProviderMetadata,
    RedirectUrl, RevocationUrl, Scope, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::over_tcp;
use crate::support::{CALLBACK, query_of};

/// RFC 8414 metadata that OpenID Connect Discovery does not have.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Revocation {
    revocation_endpoint: RevocationUrl,
}

impl AdditionalProviderMetadata for Revocation {}

type Metadata = ProviderMetadata<
    Revocation,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Sends what the crate asks for with the client that the other tests use. The crate revokes over https alone, even on
/// this machine, so the revocation URL is given to it as https and turned back here.
async fn send(mut request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    *request.uri_mut() = request.uri().to_string().replacen("https://", "http://", 1).parse().unwrap();
    let response = over_tcp::http().execute(request.try_into()?).await?;
    let mut answer = HttpResponse::new(Vec::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    *answer.body_mut() = response.bytes().await?.to_vec();
    Ok(answer)
}

#[tokio::test]
async fn crate_openidconnect_signs_in_gets_user_info_refreshes_and_revokes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let pool = LocalPool::open(None, origin.parse().unwrap(), PoolConfig::demo(8000)).await.unwrap();
    let issuer = IssuerUrl::new(pool.issuer().to_owned()).unwrap();
    tokio::spawn(serve(pool, vec![listener], std::future::pending()));

    let metadata = Metadata::discover_async(issuer, &send).await.unwrap();
    let revocation =
        metadata.additional_metadata().revocation_endpoint.as_str().replacen("http://", "https://", 1);
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new("localweb".into()), None)
        .set_redirect_uri(RedirectUrl::new(CALLBACK.into()).unwrap())
        .set_revocation_url(RevocationUrl::new(revocation).unwrap());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let (url, state, nonce) = client
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".into()))
        .add_scope(Scope::new("items/read".into()))
        .set_pkce_challenge(challenge)
        .url();
    let callback = over_tcp::sign_in_at(&over_tcp::http(), &origin, url.query().unwrap()).await;
    let parameters = query_of(&callback);
    assert_eq!(&parameters["state"], state.secret());

    let code = AuthorizationCode::new(parameters["code"].clone());
    let tokens =
        client.exchange_code(code).unwrap().set_pkce_verifier(verifier).request_async(&send).await.unwrap();
    let id_token = tokens.id_token().unwrap();
    let id_verifier: CoreIdTokenVerifier<'_> = client.id_token_verifier();
    let claims = id_token.claims(&id_verifier, &nonce).unwrap();
    assert_eq!(claims.email().unwrap().as_str(), "alice@example.com");
    let hash = AccessTokenHash::from_token(
        tokens.access_token(),
        id_token.signing_alg().unwrap(),
        id_token.signing_key(&id_verifier).unwrap(),
    );
    assert_eq!(&hash.unwrap(), claims.access_token_hash().unwrap());

    let subject = Some(claims.subject().clone());
    let info = client.user_info(tokens.access_token().clone(), subject).unwrap();
    let info: CoreUserInfoClaims = info.request_async(&send).await.unwrap();
    assert_eq!((info.email().unwrap().as_str(), info.email_verified()), ("alice@example.com", Some(true)));

    let refresh_token = tokens.refresh_token().unwrap().clone();
    let refreshed =
        client.exchange_refresh_token(&refresh_token).unwrap().request_async(&send).await.unwrap();
    let renewed = refreshed.id_token().unwrap().claims(&id_verifier, |_: Option<&Nonce>| Ok(())).unwrap();
    assert_eq!(renewed.subject(), claims.subject());
    assert_eq!(renewed.auth_time(), claims.auth_time());

    let newest = refreshed.refresh_token().unwrap().clone();
    let revocable = CoreRevocableToken::RefreshToken(newest.clone());
    client.revoke_token(revocable).unwrap().request_async(&send).await.unwrap();
    let refused = client.exchange_refresh_token(&newest).unwrap().request_async(&send).await;
    assert!(refused.unwrap_err().to_string().contains("invalid_grant"));
}
