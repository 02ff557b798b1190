// amazon-cognito-identity-js, Amplify and aws-jwt-verify, from sign-up to sign-out. COGNITO_URL and
// COGNITO_AWS_URL are pools with the configuration pool.toml; the second has the issuer of AWS.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  AuthenticationDetails,
  CognitoRefreshToken,
  CognitoUser,
  CognitoUserAttribute,
  CognitoUserPool,
} from "amazon-cognito-identity-js";
import { Amplify } from "aws-amplify";
import * as amplify from "aws-amplify/auth";
import { CognitoJwtVerifier, JwtRsaVerifier } from "aws-jwt-verify";

const URL = process.env.COGNITO_URL;
const POOL_ID = "us-east-1_LocalPool";
const PASSWORD = "Wonder-land1";
const OTHER = "Looking-glass2";

/** Returns the newest code for a user. */
async function mailedCode(username) {
  const page = await (await fetch(`${URL}/mailbox`)).text();
  return page.match(new RegExp(`${username}\\b[^<]*is <code class="key">([^<]+)`))[1];
}

/** Rejects unless the operation fails with this exception. */
function rejects(operation, name) {
  return assert.rejects(operation, (error) => {
    assert.equal(error.name, name, `${error.name}: ${error.message}`);
    return true;
  });
}

describe("amazon-cognito-identity-js", () => {
  const pool = new CognitoUserPool({ UserPoolId: POOL_ID, ClientId: "public", endpoint: URL });

  /** Calls a method that takes a callback last. */
  const call = (target, method, ...parameters) =>
    new Promise((resolve, reject) =>
      target[method](...parameters, (error, result) => (error ? reject(error) : resolve(result))),
    );
  const handler = (resolve, reject) => ({
    onSuccess: resolve,
    onFailure: reject,
    newPasswordRequired: () => reject(new Error("a new password is required")),
  });
  const user = (name) => new CognitoUser({ Username: name, Pool: pool });
  const signIn = (target, password) =>
    new Promise((resolve, reject) => {
      const details = new AuthenticationDetails({ Username: target.getUsername(), Password: password });
      target.authenticateUser(details, handler(resolve, reject));
    });

  test("signs up, signs in, refreshes, resets the password and signs out", async () => {
    const email = new CognitoUserAttribute({ Name: "email", Value: "nora@example.com" });
    await call(pool, "signUp", "nora", PASSWORD, [email], []);
    await rejects(signIn(user("nora"), PASSWORD), "UserNotConfirmedException");
    await call(user("nora"), "confirmRegistration", await mailedCode("nora"), false);
    await rejects(signIn(user("nora"), OTHER), "NotAuthorizedException");

    const nora = user("nora");
    const session = await signIn(nora, PASSWORD);
    assert.ok(session.isValid());
    const attributes = await call(nora, "getUserAttributes");
    assert.ok(attributes.some(({ Name, Value }) => Name === "email_verified" && Value === "true"));
    const refreshed = await call(nora, "refreshSession", session.getRefreshToken());
    assert.notEqual(refreshed.getAccessToken().getJwtToken(), session.getAccessToken().getJwtToken());
    const invented = new CognitoRefreshToken({ RefreshToken: "invented" });
    await rejects(call(user("nora"), "refreshSession", invented), "NotAuthorizedException");

    await new Promise((resolve, reject) => nora.forgotPassword({ onSuccess: resolve, onFailure: reject }));
    const code = await mailedCode("nora");
    await new Promise((resolve, reject) =>
      nora.confirmPassword(code, OTHER, { onSuccess: resolve, onFailure: reject }),
    );
    const again = user("nora");
    await signIn(again, OTHER);
    await new Promise((resolve, reject) => again.globalSignOut({ onSuccess: resolve, onFailure: reject }));
    await rejects(call(user("nora"), "refreshSession", session.getRefreshToken()), "NotAuthorizedException");
  });
});

describe("Amplify", () => {
  Amplify.configure({
    Auth: { Cognito: { userPoolId: POOL_ID, userPoolClientId: "public", userPoolEndpoint: URL } },
  });

  test("signs up, signs in, changes the account and signs out", async () => {
    const options = { userAttributes: { email: "olga@example.com" } };
    const signedUp = await amplify.signUp({ username: "olga", password: PASSWORD, options });
    assert.equal(signedUp.nextStep.signUpStep, "CONFIRM_SIGN_UP");
    await amplify.confirmSignUp({ username: "olga", confirmationCode: await mailedCode("olga") });
    await rejects(amplify.signIn({ username: "olga", password: OTHER }), "NotAuthorizedException");
    const signedIn = await amplify.signIn({ username: "olga", password: PASSWORD });
    assert.ok(signedIn.isSignedIn);
    assert.equal((await amplify.getCurrentUser()).username, "olga");

    const before = (await amplify.fetchAuthSession()).tokens.accessToken.toString();
    const after = (await amplify.fetchAuthSession({ forceRefresh: true })).tokens.accessToken.toString();
    assert.notEqual(before, after);
    await amplify.updateUserAttributes({ userAttributes: { email: "olga@example.org", name: "Olga" } });
    const code = await mailedCode("olga");
    await amplify.confirmUserAttribute({ userAttributeKey: "email", confirmationCode: code });
    const attributes = await amplify.fetchUserAttributes();
    assert.deepEqual(
      [attributes.email, attributes.email_verified, attributes.name],
      ["olga@example.org", "true", "Olga"],
    );
    await amplify.updatePassword({ oldPassword: PASSWORD, newPassword: OTHER });
    assert.ok((await amplify.setUpTOTP()).sharedSecret);
    await rejects(amplify.verifyTOTPSetup({ code: "000000" }), "EnableSoftwareTokenMFAException");
    await amplify.signOut({ global: true });
    await assert.rejects(amplify.getCurrentUser());

    await amplify.resetPassword({ username: "olga" });
    const reset = { username: "olga", newPassword: PASSWORD, confirmationCode: await mailedCode("olga") };
    await amplify.confirmResetPassword(reset);
    await rejects(amplify.confirmResetPassword(reset), "CodeMismatchException");
    await amplify.signIn({ username: "olga", password: PASSWORD });
    await amplify.deleteUser();
    await rejects(amplify.signIn({ username: "olga", password: PASSWORD }), "NotAuthorizedException");
  });

  test("lets the user choose a mailed code", async () => {
    const options = { userAttributes: { email: "pia@example.com" } };
    await amplify.signUp({ username: "pia", password: PASSWORD, options });
    await amplify.confirmSignUp({ username: "pia", confirmationCode: await mailedCode("pia") });
    const choice = await amplify.signIn({ username: "pia", options: { authFlowType: "USER_AUTH" } });
    assert.equal(choice.nextStep.signInStep, "CONTINUE_SIGN_IN_WITH_FIRST_FACTOR_SELECTION");
    const mailed = await amplify.confirmSignIn({ challengeResponse: "EMAIL_OTP" });
    assert.equal(mailed.nextStep.signInStep, "CONFIRM_SIGN_IN_WITH_EMAIL_CODE");
    const done = await amplify.confirmSignIn({ challengeResponse: await mailedCode("pia") });
    assert.ok(done.isSignedIn);
    await amplify.signOut();
  });
});

describe("aws-jwt-verify", () => {
  /** Signs in at a pool, and returns the tokens and the keys of the pool. */
  async function tokensAndKeys(url) {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth",
      },
      body: JSON.stringify({
        ClientId: "public",
        AuthFlow: "USER_PASSWORD_AUTH",
        AuthParameters: { USERNAME: "quentin", PASSWORD },
      }),
    });
    const { AuthenticationResult: tokens } = await response.json();
    const keys = await (await fetch(`${url}/${POOL_ID}/.well-known/jwks.json`)).json();
    return { access: tokens.AccessToken, id: tokens.IdToken, keys };
  }

  test("accepts the tokens of a pool with its own issuer", async () => {
    const { access, id, keys } = await tokensAndKeys(URL);
    const verifier = JwtRsaVerifier.create({ issuer: `${URL}/${POOL_ID}`, audience: null });
    verifier.cacheJwks(keys);
    assert.equal((await verifier.verify(access)).token_use, "access");
    assert.equal((await verifier.verify(id)).token_use, "id");
  });

  test("accepts the tokens of a pool with the issuer of AWS as those of Cognito", async () => {
    const { access, id, keys } = await tokensAndKeys(process.env.COGNITO_AWS_URL);
    for (const [tokenUse, token] of Object.entries({ access, id })) {
      const verifier = CognitoJwtVerifier.create({ userPoolId: POOL_ID, clientId: "public", tokenUse });
      verifier.cacheJwks(keys);
      assert.equal((await verifier.verify(token)).token_use, tokenUse);
      await assert.rejects(verifier.verify(tokenUse === "id" ? access : id));
    }
  });
});
