// Drives a local user pool with the package `openid-client`: discovery, code + PKCE, userinfo, refresh, revoke,
// client credentials. The pool is the program itself, started on a free port with an empty data folder.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import * as client from "openid-client";

const PROGRAM = process.env.COGNITO_LOCAL;
const CALLBACK = "http://localhost:3000/callback";
const USER = { username: "alice", password: "Wonder-land1" };
const insecure = { execute: [client.allowInsecureRequests] };

let pool;

before(async () => {
  assert.ok(PROGRAM, "COGNITO_LOCAL must be the path of the program, such as target/debug/cognito-local");
  pool = await startPool();
});

after(async () => {
  if (!pool) return;
  pool.process.kill("SIGTERM");
  await pool.ended;
  await rm(pool.folder, { recursive: true });
});

/** Starts the program, and reads from what it prints where it is. */
async function startPool() {
  const folder = await mkdtemp(join(tmpdir(), "cognito-local-"));
  const child = spawn(PROGRAM, ["--port", "0", "--data-dir", folder], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const found = {};
  for await (const line of createInterface({ input: child.stdout })) {
    found.issuer ??= line.match(/^\s+issuer\s+(\S+)/)?.[1];
    found.secret ??= line.match(/localmachine with secret (\S+)/)?.[1];
    if (found.issuer && found.secret) break;
  }
  return { process: child, ended, folder, ...found };
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "localhost", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Signs in as a browser would: follows the redirect to the page, sends its form, returns where that leads. */
async function signIn(authorizationUrl) {
  const redirect = await fetch(authorizationUrl, { redirect: "manual" });
  const page = new URL(redirect.headers.get("location"), authorizationUrl);
  const response = await fetch(page);
  const cookie = response.headers.getSetCookie().map((header) => header.split(";")[0]).join("; ");
  const csrf_token = (await response.text()).match(/name="csrf_token" value="([^"]+)"/)[1];
  const answer = await fetch(page, {
    method: "POST",
    redirect: "manual",
    headers: { cookie, origin: page.origin },
    body: new URLSearchParams({ csrf_token, ...USER }),
  });
  assert.equal(answer.status, 302, await answer.text());
  return new URL(answer.headers.get("location"));
}

test("a public client signs a user in, reads who it is, refreshes and revokes", async () => {
  const config = await client.discovery(new URL(pool.issuer), "localweb", undefined, client.None(), insecure);
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: "openid email profile items/read",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
  });
  const tokens = await client.authorizationCodeGrant(config, await signIn(url), {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  });
  const claims = tokens.claims();
  assert.equal(claims["cognito:username"], USER.username);
  assert.deepEqual(claims["cognito:groups"], ["admins"]);
  assert.equal(tokens.scope, undefined);

  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(user.email, "alice@example.com");

  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(refreshed.claims().sub, claims.sub);
  assert.equal(refreshed.claims().auth_time, claims.auth_time);
  assert.notEqual(refreshed.refresh_token, tokens.refresh_token);

  await client.tokenRevocation(config, refreshed.refresh_token);
  await assert.rejects(client.refreshTokenGrant(config, refreshed.refresh_token), { error: "invalid_grant" });
  await assert.rejects(client.fetchUserInfo(config, refreshed.access_token, claims.sub));
});

test("the signatures of ID tokens are verified with the published keys", async () => {
  const config = await client.discovery(new URL(pool.issuer), "localweb", undefined, client.None(), {
    execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  });
  const verifier = client.randomPKCECodeVerifier();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: "openid",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const tokens = await client.authorizationCodeGrant(config, await signIn(url), { pkceCodeVerifier: verifier });
  assert.ok(tokens.claims().sub);
});

test("a confidential client gets tokens for itself, by header and by body", async () => {
  for (const method of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const auth = method(pool.secret);
    const config = await client.discovery(new URL(pool.issuer), "localmachine", undefined, auth, insecure);
    const tokens = await client.clientCredentialsGrant(config, { scope: "items/read" });
    assert.equal(tokens.token_type, "bearer");
    assert.equal(tokens.expires_in, 3600);
  }
  const wrong = await client.discovery(new URL(pool.issuer), "localmachine", "wrong", undefined, insecure);
  await assert.rejects(client.clientCredentialsGrant(wrong), { error: "invalid_client" });
});

test("the example of the README works as it stands", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  // Only the ports change, since those of the README may be taken.
  const example = readme
    .match(/```js\n([^]*?)```/)[1]
    .replaceAll("http://localhost:9229/us-east-1_LocalPool", pool.issuer)
    .replaceAll("3000", String(await freePort()));
  const child = spawn(process.execPath, ["--input-type=module", "--eval", example], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let printed = "";
  for await (const line of createInterface({ input: child.stdout })) {
    printed += `${line}\n`;
    const url = line.match(/^Open (\S+)$/)?.[1];
    if (url) {
      const answer = await fetch(await signIn(new URL(url)));
      assert.equal(await answer.text(), "You are signed in.");
    }
  }
  assert.equal(await ended, 0);
  assert.match(printed, /'cognito:username': 'alice'/);
});
