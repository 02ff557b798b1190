import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Application } from './application.ts';
import { type Backend, launchBrowser, type Running, serveBuiltPage, startBackend, startDevelopmentServer } from './support.ts';

let backend: Backend;
let site: Running;
let browser: Browser;
let app: Application;

before(async () => {
  backend = await startBackend();
  site = await serveBuiltPage(backend);
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await site?.stop();
  await backend?.stop();
});

beforeEach(async () => {
  app = await Application.open(browser, site);
  await app.signIn('bob', 'Builder-yes2');
});

afterEach(async () => {
  const { faults } = app;
  await app.close();
  assert.deepEqual(faults, []);
});

test('a user creates an item, edits it and deletes it', async () => {
  await app.create('Buy milk', 'Two litres.');
  await app.item('Buy milk').waitFor();
  await app.page.getByLabel('Title').fill('Buy oat milk');
  await app.button('Save').click();
  await app.page.getByText('Saved.').waitFor();
  await app.item('Buy oat milk').waitFor();
  await app.page.reload();
  await app.heading('Files').waitFor();
  assert.equal(await app.page.getByLabel('Title').inputValue(), 'Buy oat milk');
  assert.equal(await app.page.getByLabel('Description').inputValue(), 'Two litres.');

  await app.button('Delete').click();
  await app.button('Delete item').click();
  await app.heading('New item').waitFor();
  assert.equal(await app.item('Buy oat milk').count(), 0);
});

test('the list grows by a page at a time, newest first', async () => {
  for (let i = 1; i <= 45; i += 1) {
    assert.equal((await app.elsewhere(backend, 'POST', '/items', { title: `Errand ${i}` })).status, 201);
  }
  await app.page.reload();
  const shown = app.page.locator('.items a', { hasText: 'Errand' });
  await app.item('Errand 26').waitFor();
  assert.equal(await shown.count(), 20);
  await app.button('Load more').click();
  await app.item('Errand 6').waitFor();
  assert.equal(await shown.count(), 40);
  await app.button('Load more').click();
  await app.page.locator('.items strong', { hasText: /^Errand 1$/ }).waitFor();
  const titles = await shown.locator('strong').allInnerTexts();
  assert.deepEqual(titles, Array.from({ length: 45 }, (_, i) => `Errand ${45 - i}`));
});

test('an invalid title is shown at its field, and the field gets the focus', async () => {
  await app.page.getByLabel('Title').fill('x'.repeat(201));
  await app.button('Create item').click();
  const title = app.page.getByLabel('Title');
  await app.page.getByText('Must have 1 to 200 characters').waitFor();
  assert.equal(await title.getAttribute('aria-invalid'), 'true');
  assert.equal(await app.page.locator(`#${await title.getAttribute('aria-describedby')}`).count(), 1);
  assert.ok(await title.evaluate((field) => field === document.activeElement));
});

test('after a conflict the user keeps their own version or takes the other', async () => {
  for (const [choice, expected] of [['Keep mine', 'Mine'], ['Use theirs', 'Theirs']] as const) {
    await app.create('Before');
    const path = `/items/${new URL(app.page.url()).hash.slice(1)}`;
    assert.equal((await app.elsewhere(backend, 'PATCH', path, { title: 'Theirs' })).status, 200);
    await app.page.getByLabel('Title').fill('Mine');
    await app.button('Save').click();
    await app.heading('This item was changed elsewhere').waitFor();
    const title = async () => (await (await app.elsewhere(backend, 'GET', path)).json()).title;
    assert.equal(await title(), 'Theirs', 'nothing is overwritten before the choice');

    await app.button(choice).click();
    await app.heading('This item was changed elsewhere').waitFor({ state: 'detached' });
    assert.equal(await title(), expected);
    assert.equal(await app.page.getByLabel('Title').inputValue(), expected);
    await app.item(expected).first().waitFor();
  }
});

test('an item that was changed elsewhere is not deleted unseen', async () => {
  await app.create('Before');
  const path = `/items/${new URL(app.page.url()).hash.slice(1)}`;
  assert.equal((await app.elsewhere(backend, 'PATCH', path, { title: 'Theirs' })).status, 200);
  await app.button('Delete').click();
  await app.button('Delete item').click();
  await app.heading('This item was changed elsewhere').waitFor();
  assert.equal((await app.elsewhere(backend, 'GET', path)).status, 200);
});

test('a file is uploaded with its progress, downloaded unchanged, and deleted', async () => {
  await app.create('With a file');
  const network = await app.page.context().newCDPSession(app.page);
  const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_000_000 };
  await network.send('Network.emulateNetworkConditions', slow);
  await app.attach('notes.txt', 2_000_000);
  const shares = new Set<number>();
  const progress = app.page.getByRole('progressbar', { name: 'notes.txt' });
  await progress.waitFor();
  while (await progress.isVisible()) {
    const value = await progress.getAttribute('value', { timeout: 1000 }).catch(() => null);
    if (value !== null) shares.add(Number(value));
  }
  await app.page.getByText('Attached notes.txt.').waitFor();
  assert.ok([...shares].some((share) => share > 0 && share < 100), `seen: ${[...shares]}`);

  const started = app.page.waitForEvent('download');
  await app.button('Download notes.txt').click();
  const download = await started;
  assert.equal(download.suggestedFilename(), 'notes.txt');
  assert.deepEqual(await readFile(await download.path()), Buffer.alloc(2_000_000, 'x'));

  await app.button('Delete notes.txt').click();
  await app.button('Delete file').click();
  await app.page.getByText('Deleted notes.txt.').waitFor();
  assert.equal(await app.button('Download notes.txt').count(), 0);
});

test('an upload can be cancelled and leaves nothing behind', async () => {
  await app.create('Cancelled');
  const network = await app.page.context().newCDPSession(app.page);
  await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 10_000 });
  await app.attach('large.txt', 5_000_000);
  await app.button('Cancel').click();
  await app.page.getByText('Cancelled large.txt.').waitFor();
  await app.button('Attach a file').waitFor();
  assert.equal(await app.page.getByRole('button', { name: 'Download' }).count(), 0);
});

test('the API\'s own words are shown when an item does not exist', async () => {
  await app.page.goto(`${site.url}/#01890000-0000-7000-8000-000000000000`);
  const alert = app.page.getByRole('alert');
  await alert.waitFor();
  assert.match(await alert.innerText(), /There is no such item/);
});

test('everything works with the keyboard', async () => {
  const { keyboard } = app.page;
  await app.page.getByRole('link', { name: 'New item' }).focus();
  await keyboard.press('Enter');
  await app.page.waitForFunction(() => document.activeElement?.id === 'detail-heading');
  await keyboard.press('Tab');
  await keyboard.type('Typed');
  await keyboard.press('Enter');
  await app.heading('Files').waitFor();
  await app.page.waitForFunction(() => document.activeElement?.id === 'detail-heading');
  await app.button('Delete').focus();
  await keyboard.press('Enter');
  assert.equal(await app.page.evaluate(() => document.activeElement?.textContent), 'Cancel');
  await keyboard.press('Tab');
  await keyboard.press('Enter');
  await app.page.waitForFunction(() => document.activeElement?.id === 'list-heading');
});

test('npm run dev serves the same application', async () => {
  const vite = await startDevelopmentServer(backend);
  const development = await Application.open(browser, vite);
  await development.signIn('bob', 'Builder-yes2');
  await development.create('From Vite');
  await development.item('From Vite').waitFor();
  assert.deepEqual(development.faults, []);
  await development.close();
  await vite.stop();
});
