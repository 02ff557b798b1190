import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Balancer } from './balancer.ts';
import { type Backend, call, DeployedStage } from './stage.ts';

// Three processes of the backend behind a balancer, as ECS runs them: none keeps anything that another would need.

let stage: DeployedStage;
let balancer: Balancer;
let fleet: Backend[];

interface Item {
  readonly id: string;
  readonly title: string;
}

before(async () => {
  stage = await DeployedStage.start();
  balancer = await Balancer.start();
  const started = await Promise.all([1, 2, 3].map(() => stage.startBackend()));
  fleet = await Promise.all(started.map((backend) => backend.answers(200)));
  fleet.forEach((backend) => balancer.register(backend.url));
}, { timeout: 120_000 });

after(async () => {
  balancer?.stop();
  await stage?.stop();
});

test('any process answers any request of a sequence', async () => {
  const token = await stage.signIn(await stage.signUp('alice@example.com'));
  const send = (method: string, path: string, body?: object, headers = {}) => call(balancer.url, token, method, path, body, headers);

  const created = await send('POST', '/items', { title: 'One', description: null }, { 'idempotency-key': 'same' });
  const replayed = await send('POST', '/items', { title: 'One', description: null }, { 'idempotency-key': 'same' });
  assert.deepEqual([created.status, replayed.status], [201, 201]);
  const { id } = (await created.json()) as Item;
  assert.equal(((await replayed.json()) as Item).id, id);

  const etag = created.headers.get('etag') ?? '';
  const replace = (title: string) => send('PUT', `/items/${id}`, { title, description: null }, { 'if-match': etag });
  assert.equal((await replace('Two')).status, 200);
  assert.equal((await replace('Three')).status, 412);

  await send('POST', '/items', { title: 'Another', description: null });
  assert.deepEqual((await listAll(token, 1)).map(({ title }) => title), ['Another', 'Two']);
  assert.deepEqual([...balancer.served.keys()].sort(), fleet.map(({ url }) => url).sort());
});

test('replacing the processes one by one under load loses nothing', { timeout: 120_000 }, async () => {
  const users = await Promise.all([1, 2, 3, 4].map((number) => stage.signUp(`load-${number}@example.com`)));
  const tokens = await Promise.all(users.map((user) => stage.signIn(user)));
  let isLoaded = true;
  const loads = tokens.map(async (token) => {
    const titles: string[] = [];
    while (isLoaded) {
      const title = `item ${titles.length}`;
      const created = await call(balancer.url, token, 'POST', '/items', { title, description: null });
      assert.equal(created.status, 201, await created.text());
      titles.push(title);
    }
    return titles;
  });

  for (const leaving of fleet) {
    const coming = await (await stage.startBackend()).answers(200);
    balancer.register(coming.url);
    balancer.deregister(leaving.url);
    // At once, with requests under way.
    assert.equal(await leaving.stop(), 0);
  }
  isLoaded = false;

  const created = await Promise.all(loads);
  for (const [index, titles] of created.entries()) {
    assert.ok(titles.length > 10, `${titles.length} items of user ${index}`);
    assert.deepEqual((await listAll(tokens[index] ?? '', 100)).map(({ title }) => title).reverse(), titles);
  }
});

/** All items, newest first, page by page. */
async function listAll(token: string, limit: number): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = await call(balancer.url, token, 'GET', `/items?limit=${limit}${query}`);
    assert.equal(answer.status, 200);
    const page = (await answer.json()) as { items: Item[]; next_cursor: string | null };
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return items;
}
