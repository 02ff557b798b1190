import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Backend, call, DeployedStage } from '../test/stage.ts';

// The CPU that one request of each route takes in the backend, against a fake AWS: what that takes is not counted.

const REQUESTS = 4000;
const CONCURRENCY = 4;
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const stage = await DeployedStage.start();
try {
  const backend = await (await stage.startBackend({ RATE_LIMIT_PER_MINUTE: '0', RUST_LOG: 'info' })).answers(200);
  const token = await stage.signIn(await stage.signUp('alice@example.com'));
  const send = (method: string, path: string, body?: object) => call(backend.url, token, method, path, body);
  const created = await send('POST', '/items', { title: 'Tea', description: 'x'.repeat(500) });
  const { id } = (await created.json()) as { id: string };
  for (let item = 0; item < 20; item++) {
    await send('POST', '/items', { title: `Item ${item}`, description: 'x'.repeat(500) });
  }
  const routes: [string, () => Promise<Response>][] = [
    ['GET /health/live', () => send('GET', '/health/live')],
    ['GET /users/me', () => send('GET', '/users/me')],
    ['GET /items/{id}', () => send('GET', `/items/${id}`)],
    ['GET /items (20)', () => send('GET', '/items')],
    ['PATCH /items/{id}', () => send('PATCH', `/items/${id}`, { title: 'Tea' })],
    ['POST /items', () => send('POST', '/items', { title: 'Tea', description: null })],
  ];
  console.log('| route | CPU, µs |\n|---|---|');
  for (const [name, request] of routes) {
    console.log(`| ${name} | ${Math.round(await cpuMicros(backend, request))} |`);
  }
} finally {
  await stage.stop();
}

async function cpuMicros(backend: Backend, request: () => Promise<Response>): Promise<number> {
  const before = cpuSeconds(backend.pid);
  const worker = async () => {
    for (let sent = 0; sent < REQUESTS / CONCURRENCY; sent++) {
      const answer = await request();
      await answer.arrayBuffer();
      if (!answer.ok) {
        throw new Error(`${answer.url} answers ${answer.status}`);
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return ((cpuSeconds(backend.pid) - before) / REQUESTS) * 1e6;
}

/** User and system time of a process (proc(5): fields 14 and 15 of stat). */
function cpuSeconds(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] ?? '';
  const [user, system] = afterName.split(' ').slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_PER_SECOND;
}
