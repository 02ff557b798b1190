//! A single-page application that signs in with the npm package `oidc-client-ts`.

use serde_json::Value;

use crate::support::{Browser, Look, Site, WAIT};

/// The application's page, with the settings that the README shows.
pub(crate) fn page(pool_origin: &str) -> String {
    format!(
        r#"<!doctype html>
<title>Application</title>
<script src="/oidc-client-ts.js"></script>
<script type="module">
  const users = new oidc.UserManager({{
    authority: "{pool_origin}/us-east-1_LocalPool",
    client_id: "localweb",
    redirect_uri: location.origin + "/callback",
    scope: "openid email profile items/read",
    loadUserInfo: true,
    revokeTokenTypes: ["refresh_token"],
  }});
  window.users = users;
</script>
<h1>Application</h1>"#
    )
}

#[test]
fn its_settings_are_those_of_the_readme() {
    let settings = |text: &str| -> Vec<String> {
        let inside = text.split("UserManager({").nth(1).unwrap().split("});").next().unwrap();
        inside.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    let readme = include_str!("../../README.md");
    assert_eq!(settings(&page("http://localhost:9229")), settings(readme));
}

pub(crate) async fn call(browser: &Browser, script: &str, argument: Value) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         (async argument => {{ {script} }})(arguments[0])
             .then(value => done(value ?? null), error => done('failed: ' + error));"
    );
    browser.client.execute_async(&script, vec![argument]).await.unwrap()
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and oidc-client-ts"]
async fn oidc_client_ts_signs_in_refreshes_revokes_and_signs_out() {
    let site = Site::start().await;
    let browser = Browser::open(Look::DESKTOP).await;
    let home = format!("{}/", site.application);
    browser.goto(&home).await;
    // The page leaves before the promise settles.
    browser.client.execute("users.signinRedirect();", vec![]).await.unwrap();
    browser.wait_for_heading("Sign in").await;
    browser.sign_in("alice", "Wonder-land1").await;
    browser.wait_for_heading("Signed in").await;
    let callback = browser.client.current_url().await.unwrap();

    browser.goto(&home).await;
    let profile =
        call(&browser, "return (await users.signinCallback(argument)).profile;", callback.as_str().into())
            .await;
    assert_eq!(profile["cognito:username"], "alice", "{profile}");
    assert_eq!(profile["email"], "alice@example.com", "{profile}");

    let tokens = "const before = await users.getUser(); const after = await users.signinSilent();
                  return [before.refresh_token, after.refresh_token, after.profile.sub];";
    let tokens = call(&browser, tokens, Value::Null).await;
    assert!(tokens[0].is_string() && tokens[1].is_string() && tokens[0] != tokens[1], "{tokens}");
    assert_eq!(tokens[2], profile["sub"]);

    assert_eq!(call(&browser, "await users.revokeTokens();", Value::Null).await, Value::Null);
    let sign_out = "users.signoutRedirect({ extraQueryParams: { client_id: 'localweb', logout_uri: location.origin + '/' } });";
    browser.client.execute(sign_out, vec![]).await.unwrap();
    browser.client.wait().at_most(WAIT).for_url(&home.parse().unwrap()).await.unwrap();
    browser.goto(&site.page("/oauth2/authorize")).await;
    browser.wait_for_heading("Sign in").await;
    browser.close().await;
}
