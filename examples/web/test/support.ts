import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { contentSecurityPolicy, deployedPage } from '../hosting.ts';

export type { Locator, Page } from 'playwright-core';

const EXAMPLE = new URL('..', import.meta.url).pathname;
const REPOSITORY = join(EXAMPLE, '../..');
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

export interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

/** The ports that `cargo run` uses. */
export const LOCAL_PORTS = { api: 8000, cognito: 9229, dynamodb: 9230, s3: 9231 };

export interface Backend extends Running {
  readonly userPool: string;
  readonly s3: string;
  readonly ports: typeof LOCAL_PORTS;
}

/** Starts `dev --ephemeral`, on free ports unless others are given. */
export async function startBackend(settings: { pool?: string; ports?: typeof LOCAL_PORTS | undefined } = {}): Promise<Backend> {
  const ports = settings.ports ?? await freePorts();
  const flags = Object.entries(ports).flatMap(([service, port]) => [`--${service}-port`, String(port)]);
  if (settings.pool !== undefined) flags.push('--pool', settings.pool);
  const child = spawn(programPath('dev'), ['--ephemeral', ...flags], { cwd: EXAMPLE, stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const [url, userPool, s3] = [ports.api, ports.cognito, ports.s3].map((port) => `http://localhost:${port}`) as [string, string, string];
  await answers(`${url}/health/ready`);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  return { url, userPool, s3, ports, stop };
}

/** Serves the built page as a deployment does: with its settings and its content security policy. */
export async function serveBuiltPage(backend: Backend): Promise<Running> {
  const connect = [backend.url, backend.userPool, backend.s3];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const file = path === '/' || path === '/callback' ? '/index.html' : path;
    const content = await readFile(join(EXAMPLE, 'dist', file)).catch(() => undefined);
    const headers = {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': contentSecurityPolicy('http:'),
    };
    if (content === undefined) {
      response.writeHead(404).end();
    } else if (file === '/index.html') {
      response.writeHead(200, headers).end(deployedPage(String(content), { apiUrl: backend.url, clientId: 'localweb', connect }));
    } else {
      response.writeHead(200, headers).end(content);
    }
  });
  const port = await listen(server);
  return { url: `http://localhost:${port}`, stop: () => close(server) };
}

/** Starts Vite's development server with `npm run dev`'s settings. */
export async function startDevelopmentServer(backend: Backend): Promise<Running> {
  process.env['VITE_API_URL'] = backend.url;
  const { createServer: createViteServer } = await import('vite');
  const server = await createViteServer({ root: EXAMPLE, logLevel: 'error', server: { port: 0, strictPort: false } });
  await server.listen();
  const { port } = server.httpServer?.address() as AddressInfo;
  return { url: `http://localhost:${port}`, stop: () => server.close() };
}

/** Debian's Chromium, without what it does besides showing pages. */
export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

/** Where cargo puts a program of this repository. */
export function programPath(name: string): string {
  return join(process.env['CARGO_TARGET_DIR'] ?? join(REPOSITORY, 'target'), 'debug', name);
}

async function answers(url: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    if (Date.now() > deadline) throw new Error(`${url} does not answer`);
    await sleep(100);
  }
}

async function freePorts(): Promise<typeof LOCAL_PORTS> {
  const servers = Object.keys(LOCAL_PORTS).map((service) => [service, createServer()] as const);
  const ports = await Promise.all(servers.map(async ([service, server]) => [service, await listen(server)] as const));
  await Promise.all(servers.map(([, server]) => close(server)));
  return { ...LOCAL_PORTS, ...Object.fromEntries(ports) };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, 'localhost', () => resolve((server.address() as AddressInfo).port)));
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
