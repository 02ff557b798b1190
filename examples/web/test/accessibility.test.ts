import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type { AxeResults } from 'axe-core';
import type { Browser } from 'playwright-core';
import { Application } from './application.ts';
import { type Backend, launchBrowser, type Running, serveBuiltPage, startBackend } from './support.ts';

const LOOKS = [
  { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  { viewport: { width: 360, height: 740 }, colorScheme: 'dark' },
  { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
] as const;

let backend: Backend;
let site: Running;
let browser: Browser;
let axe: string;

before(async () => {
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  backend = await startBackend();
  site = await serveBuiltPage(backend);
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await site?.stop();
  await backend?.stop();
});

/** Fails on any finding of axe-core, best practices too, and if the page is wider than the screen. */
async function check(app: Application, state: string): Promise<void> {
  const results = await app.page.evaluate(async (): Promise<AxeResults> => Reflect.get(globalThis, 'axe').run());
  const findings = results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  assert.deepEqual(findings, [], state);
  const excess = await app.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(excess <= 0, `${state}: ${excess} px too wide`);
}

for (const look of LOOKS) {
  test(`every state is accessible at ${look.viewport.width} px in ${look.colorScheme} colours`, async () => {
    const app = await Application.open(browser, site, look);
    // By the debugger, which the content security policy does not bind.
    await app.page.addInitScript(axe);
    await app.page.reload();
    await app.button('Sign in').waitFor();
    await check(app, 'signed out');
    await app.signIn('alice', 'Wonder-land1');
    await check(app, 'list');
    await app.page.goto(`${site.url}/#new`);
    await app.button('Create item').click();
    await app.page.getByText('Must have 1 to 200 characters').waitFor();
    await check(app, 'problem');
    await app.create('unbreakable'.repeat(10), 'Two\nlines.');
    await app.attach('notes.txt', 1000);
    await app.page.getByText('Attached notes.txt.').waitFor();
    await check(app, 'item with a file');
    await app.button('Delete').click();
    await check(app, 'dialog');
    await app.button('Cancel').click();
    const path = `/items/${new URL(app.page.url()).hash.slice(1)}`;
    await app.elsewhere(backend, 'PATCH', path, { title: 'Theirs' });
    await app.button('Save').click();
    await app.heading('This item was changed elsewhere').waitFor();
    await check(app, 'conflict');
    const network = await app.page.context().newCDPSession(app.page);
    await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 10_000 });
    await app.attach('large.txt', 1_000_000);
    await app.button('Cancel').waitFor();
    await check(app, 'upload');
    await app.close();
  });
}
