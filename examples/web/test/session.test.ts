import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { Application } from './application.ts';
import { type Backend, launchBrowser, type Running, serveBuiltPage, startBackend } from './support.ts';

/** So much later, an access token of 5 minutes is renewed before it is used again. */
const LATER_MS = 270_000;

let backend: Backend;
let site: Running;
let browser: Browser;

before(async () => {
  backend = await startBackend({ pool: 'test/pool.toml' });
  site = await serveBuiltPage(backend);
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await site?.stop();
  await backend?.stop();
});

async function signedIn(): Promise<Application> {
  const app = await Application.open(browser, site);
  await app.signIn('alice', 'Wonder-land1');
  return app;
}

/** Presents a refresh token to the pool, as somebody who copied it would. */
function refresh(refreshToken: string): Promise<Response> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'localweb', refresh_token: refreshToken });
  return fetch(`${backend.userPool}/oauth2/token`, { method: 'POST', body });
}

async function later(page: Page): Promise<void> {
  await page.clock.setSystemTime(Date.now() + LATER_MS);
}

test('a token that is about to expire is renewed silently, and the refresh token rotates', async () => {
  const app = await signedIn();
  const first = await app.tokens();
  await later(app.page);
  await app.create('After the renewal');
  const second = await app.tokens();
  assert.notEqual(second.access_token, first.access_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.deepEqual(app.faults, []);

  const replayed = await refresh(first.refresh_token);
  assert.equal(replayed.status, 400);
  assert.equal((await replayed.json()).error, 'invalid_grant');
  await app.close();
});

test('a stolen refresh token ends the sign-in, and the application says so', async () => {
  const app = await signedIn();
  const { refresh_token } = await app.tokens();
  assert.equal((await refresh(refresh_token)).status, 200, 'the thief is first');
  await later(app.page);
  await app.page.getByLabel('Title').fill('Too late');
  await app.button('Create item').click();
  await app.page.getByText('Your sign-in has ended. Sign in again.').waitFor();
  await assert.rejects(app.tokens(), /nobody is signed in/);
  await app.close();
});

test('an access token that the API rejects is renewed once', async () => {
  const app = await signedIn();
  const before = await app.tokens();
  await app.page.evaluate(() => {
    const key = Object.keys(localStorage).find((name) => name.startsWith('oidc.user:')) ?? '';
    const user = JSON.parse(localStorage[key]);
    localStorage[key] = JSON.stringify({ ...user, access_token: `${user.access_token}x` });
  });
  await app.create('Created at the second try');
  assert.notEqual((await app.tokens()).refresh_token, before.refresh_token);
  await app.close();
});

test('two tabs renew the token once, and both stay signed in', async () => {
  const app = await signedIn();
  const other = await Application.inNewTab(await app.page.context().newPage(), site);
  await other.heading('Your items').waitFor();
  let renewals = 0;
  app.page.context().on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/oauth2/token')) renewals += 1;
  });
  const tabs = [app, other];
  for (const { page } of tabs) {
    await later(page);
    await page.getByLabel('Title').fill('From a tab');
  }
  await Promise.all(tabs.map((tab) => tab.button('Create item').click()));
  await Promise.all(tabs.map((tab) => tab.heading('Files').waitFor()));
  assert.equal(renewals, 1);
  await app.close();
});

test('signing out ends the session at the user pool and in every tab', async () => {
  const app = await signedIn();
  const { refresh_token } = await app.tokens();
  const other = await Application.inNewTab(await app.page.context().newPage(), site);
  await other.heading('Your items').waitFor();
  await app.button('Sign out').click();
  await app.page.waitForURL(`${site.url}/`);
  await app.button('Sign in').waitFor();
  await other.button('Sign in').waitFor();
  assert.equal((await refresh(refresh_token)).status, 400);

  await app.button('Sign in').click();
  await app.page.locator('input[name=password]').waitFor(); // The pool asks for the password again.
  await app.close();
});

test('a sign-in returns to the item that was open', async () => {
  const app = await signedIn();
  await app.create('Linked');
  const link = app.page.url();
  await app.close();
  const visitor = await Application.open(browser, site);
  await visitor.page.goto(link);
  await visitor.signIn('alice', 'Wonder-land1');
  await visitor.heading('Files').waitFor();
  assert.equal(visitor.page.url(), link);
  await visitor.close();
});

test('a sign-in that was not started here is not accepted', async () => {
  const app = await Application.open(browser, { ...site, url: `${site.url}/callback?code=forged&state=forged` });
  await app.page.getByText('The sign-in was not finished. Try again.').waitFor();
  assert.equal(new URL(app.page.url()).pathname, '/');
  await app.close();
});

test('the page can call nothing but its API, user pool and bucket', async () => {
  const app = await Application.open(browser, site);
  const violated = await app.page.evaluate(async () => {
    const violation = new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', (event) => resolve(event.violatedDirective));
    });
    await fetch('http://localhost:1/').catch(() => undefined);
    return violation;
  });
  assert.equal(violated, 'connect-src');
  await app.close();
});

test('while the API does not answer, the page says so and can try again', async () => {
  const app = await Application.open(browser, site);
  await app.page.route(`${backend.url}/**`, (route) => route.abort());
  await app.page.reload();
  await app.page.getByText('The API does not answer.').waitFor();
  await app.page.unroute(`${backend.url}/**`);
  await app.button('Try again').click();
  await app.button('Sign in').waitFor();
  await app.close();
});
