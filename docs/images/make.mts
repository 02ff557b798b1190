/**
 * Makes the pictures of the running system, and records the text that each shows: `npm run pictures` in `examples/web`.
 *
 * Only pictures whose text has changed are made again. With `--check`, none is made, and a changed text is an error:
 * pixels differ between machines, text does not.
 */

import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Application } from '../../examples/web/test/application.ts';
import { type Backend, type Locator, LOCAL_PORTS, launchBrowser, serveBuiltPage, startBackend } from '../../examples/web/test/support.ts';
import { Terminal } from './terminal.mts';

interface Picture {
  readonly file: string;
  readonly content: Buffer | string;
  readonly text: string;
}

const FOLDER = import.meta.dirname;
const MAX_BYTES = 150_000;
const LOOK = { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } as const;
const ITEMS = [
  ['Call the dentist', ''],
  ['Buy oat milk', 'Two litres.'],
  ['Book the train to Lyon', 'A window seat, and back before the twelfth.'],
  ['Renew the passport', 'Two photos, the old passport, and 86 euros.\nThe office opens at eight.'],
] as const;

async function main(check: boolean): Promise<void> {
  // A picture shows the usual ports; a check runs beside whatever uses them.
  const backend = await startBackend({ ports: check ? undefined : LOCAL_PORTS });
  const site = await serveBuiltPage(backend);
  const browser = await launchBrowser();
  const stale: string[] = [];
  try {
    const app = await Application.open(browser, site, LOOK);
    for (const take of [hostedUi, startPage, documentation, webExample, terminal]) {
      const picture = await take(app, backend);
      const recorded = join(FOLDER, `${picture.file.replace(/\..*/, '')}.txt`);
      const text = masked(picture.text, backend);
      if (text === await readFile(recorded, 'utf8').catch(() => undefined)) continue;
      stale.push(picture.file);
      if (check) {
        console.log(`${picture.file} shows another text now:\n${text}`);
        continue;
      }
      if (picture.content.length > MAX_BYTES) throw new Error(`${picture.file} has more than ${MAX_BYTES} bytes`);
      await writeFile(join(FOLDER, picture.file), picture.content);
      await writeFile(recorded, text);
    }
  } finally {
    await browser.close();
    await site.stop();
    await backend.stop();
  }
  console.log(`pictures: ${stale.length === 0 ? 'all are current' : `${check ? 'out of date' : 'made'}: ${stale.join(', ')}`}`);
  if (check && stale.length > 0) throw new Error('run `npm run pictures` in examples/web, and commit docs/images');
}

async function hostedUi(app: Application): Promise<Picture> {
  await app.button('Sign in').click();
  await app.page.locator('input[name=username]').fill('alice');
  return screenshot(app, 'hosted-ui.png', [app.page.locator('body')]);
}

async function startPage(app: Application, backend: Backend): Promise<Picture> {
  await app.page.goto(backend.url);
  return screenshot(app, 'start-page.png', [app.page.locator('body')], { fullPage: true });
}

/** The first section of the documentation, and what is above it. */
async function documentation(app: Application, backend: Backend): Promise<Picture> {
  await app.page.goto(`${backend.url}/docs/`);
  const section = app.page.locator('.opblock-tag-section').first();
  await section.locator('.opblock').last().waitFor();
  const { y, height } = await section.boundingBox() ?? { y: 0, height: LOOK.viewport.height };
  const clip = { x: 0, y: 0, width: LOOK.viewport.width, height: y + height };
  return screenshot(app, 'docs.png', [app.page.locator('.info'), section], { clip });
}

async function webExample(app: Application): Promise<Picture> {
  await app.page.goto(app.url);
  await app.signIn('alice', 'Wonder-land1');
  for (const [title, description] of ITEMS) await app.create(title, description);
  for (const [name, bytes] of [['application.pdf', 184_320], ['photo.jpg', 2_411_724]] as const) {
    await app.attach(name, bytes);
    await app.page.getByText(`Attached ${name}.`).waitFor();
  }
  await app.page.reload();
  await app.button('Download photo.jpg').waitFor();
  return screenshot(app, 'web.png', [app.page.locator('#root')], { fullPage: true });
}

async function terminal(app: Application, backend: Backend): Promise<Picture> {
  const session = new Terminal(backend, await mkdtemp(join(tmpdir(), 'items-')));
  await session.signIn(app.page);
  await session.run('items whoami');
  const added = await session.run('items add Water the plants -d "The fern twice."');
  const [id = ''] = /[0-9a-f-]{36}/.exec(added) ?? [];
  await session.run(`items edit ${id} --title "Water all plants"`);
  await session.run('items list --limit 3');
  return { file: 'items.svg', content: session.svg(), text: session.text() };
}

async function screenshot(app: Application, file: string, shown: Locator[], options = {}): Promise<Picture> {
  await app.page.mouse.move(0, 0);
  await app.page.evaluate(() => document.fonts.ready.then(() => undefined));
  const texts = await Promise.all(shown.map((part) => part.innerText()));
  return { file, content: await app.page.screenshot({ animations: 'disabled', caret: 'hide', ...options }), text: texts.join('\n') };
}

/** The text without what differs between two runs. */
function masked(text: string, { ports }: Backend): string {
  for (const [service, port] of Object.entries(LOCAL_PORTS)) {
    text = text.replaceAll(`:${ports[service as keyof typeof LOCAL_PORTS]}`, `:${port}`);
  }
  const lines = text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<id>')
    .replaceAll(/localmachine:\w+/g, 'localmachine:<secret>')
    .replaceAll(/\d{1,2} \w{3,4} \d{4}, \d{2}:\d{2}/g, '<time>')
    .replaceAll(/\d{4}-\d{2}-\d{2}[T ][\d:.]+Z?/g, '<time>')
    .replaceAll(/\b(now|\d+ (second|minute)s? ago)$/gm, '<time>')
    .replaceAll(/ {2,}/g, '  ') // Columns are as wide as their content.
    .split('\n')
    .map((line) => line.trim());
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

await main(process.argv.includes('--check'));
