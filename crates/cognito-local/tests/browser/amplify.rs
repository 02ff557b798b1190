//! A single-page application that signs in with Amplify, by the AWS API and from its own origin.

use serde_json::{Value, json};

use crate::oidc_client_ts::call;
use crate::support::{Browser, Look, Site};

/// The application's page, with the configuration that the README shows.
pub(crate) fn page(pool_origin: &str) -> String {
    format!(
        r#"<!doctype html>
<title>Application</title>
<script src="/amplify.js"></script>
<script>
  Amplify.configure({{ Auth: {{ Cognito: {{
    userPoolId: "us-east-1_LocalPool",
    userPoolClientId: "localweb",
    userPoolEndpoint: "{pool_origin}",
  }} }} }});
</script>
<h1>Application</h1>"#
    )
}

async fn mailed_code(site: &Site) -> String {
    let page = reqwest::get(format!("{}/mailbox", site.origin)).await.unwrap().text().await.unwrap();
    page.split("class=\"key\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and Amplify"]
async fn amplify_signs_up_signs_in_refreshes_and_signs_out() {
    let site = Site::start().await;
    let browser = Browser::open(Look::DESKTOP).await;
    browser.goto(&format!("{}/amplify", site.application)).await;
    let sign_up = "return (await auth.signUp({ username: 'carol', password: argument,
                       options: { userAttributes: { email: 'carol@example.com' } } })).nextStep.signUpStep;";
    let password = json!("Correct-horse-9");
    assert_eq!(call(&browser, sign_up, password.clone()).await, "CONFIRM_SIGN_UP");
    let confirm = "return (await auth.confirmSignUp({ username: 'carol', confirmationCode: argument })).isSignUpComplete;";
    assert_eq!(call(&browser, confirm, mailed_code(&site).await.into()).await, true);

    // By the Secure Remote Password protocol, which is Amplify's default.
    let sign_in = "return (await auth.signIn({ username: 'carol', password: argument })).isSignedIn;";
    let wrong = call(&browser, sign_in, json!("Wrong-horse-9")).await;
    assert_eq!(wrong, "failed: NotAuthorizedException: Incorrect username or password.");
    assert_eq!(call(&browser, sign_in, password).await, true);
    let refresh =
        "const text = async options => (await auth.fetchAuthSession(options)).tokens.accessToken.toString();
                   return [await text(), await text({ forceRefresh: true })];";
    let tokens = call(&browser, refresh, Value::Null).await;
    assert!(tokens[0].is_string() && tokens[1].is_string() && tokens[0] != tokens[1], "{tokens}");
    let sign_out =
        "await auth.signOut({ global: true }); return (await auth.fetchAuthSession()).tokens ?? null;";
    assert_eq!(call(&browser, sign_out, Value::Null).await, Value::Null);

    // Administration is closed to pages, whatever they send.
    let admin = "const response = await fetch(argument, { method: 'POST', body: '{}', headers: {
                     'content-type': 'application/x-amz-json-1.1',
                     'x-amz-target': 'AWSCognitoIdentityProviderService.ListUserPools' } });
                 return response.status;";
    assert_eq!(call(&browser, admin, site.origin.as_str().into()).await, 403);
    browser.close().await;
}
