import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
  ListExportsCommand,
} from '@aws-sdk/client-cloudformation';
import { CognitoIdentityProviderClient, ConfirmSignUpCommand, SignUpCommand } from '@aws-sdk/client-cognito-identity-provider';
import { REPOSITORY_ROOT } from '../lib/image.ts';
import { type StackId, templateOf } from './synth.ts';

const REGION = 'us-east-1';
const CREDENTIALS = { accessKeyId: 'fake', secretAccessKey: 'fake' };
const CALLBACK_URL = 'https://app.example.com/callback';
const PASSWORD = 'correct Horse 7 battery!';
const PYTHON = process.env['PYTHON'] ?? join(REPOSITORY_ROOT, 'infra/.venv/bin/python');
const BACKEND = resolve(process.env['BACKEND'] ?? join(REPOSITORY_ROOT, 'target/debug/backend'));

/**
 * The synthesized templates, deployed by CloudFormation to a fake AWS; users who sign in there; and `backend` processes, given the
 * variables that their container would be given, and besides them only where the fake AWS is.
 */
export class DeployedStage {
  readonly endpoint: string;
  /** For every client of the fake AWS. */
  readonly aws: { region: string; endpoint: string; credentials: typeof CREDENTIALS };
  readonly variables: Record<string, string>;
  readonly #fakeAws: ChildProcess;
  readonly #backends: Backend[] = [];

  private constructor(fakeAws: ChildProcess, endpoint: string, variables: Record<string, string>) {
    this.#fakeAws = fakeAws;
    this.endpoint = endpoint;
    this.aws = { region: REGION, endpoint, credentials: CREDENTIALS };
    this.variables = variables;
  }

  static async start(): Promise<DeployedStage> {
    assert.ok(existsSync(BACKEND), `${BACKEND} is missing: cargo build -p backend`);
    const errors = process.env['DEBUG'] ? 'inherit' : 'ignore';
    const fakeAws = spawn(PYTHON, ['-m', 'fake_aws'], { cwd: import.meta.dirname, stdio: ['pipe', 'pipe', errors] });
    const endpoint = await firstLine(fakeAws);
    const cloudFormation = new CloudFormationClient({ region: REGION, endpoint, credentials: CREDENTIALS });
    await deploy(cloudFormation, 'Identity');
    await deploy(cloudFormation, 'Data');
    return new DeployedStage(fakeAws, endpoint, await containerEnvironment(cloudFormation));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#backends.map((backend) => backend.stop()));
    this.#fakeAws.stdin?.end();
  }

  get webClientId(): string {
    return this.variables['COGNITO_APP_CLIENT_ID']?.split(',')[0] ?? '';
  }

  get machineClientId(): string {
    return this.variables['COGNITO_APP_CLIENT_ID']?.split(',')[1] ?? '';
  }

  /** A process, which may not be ready yet; `variables` are what is to be different. */
  async startBackend(variables: Record<string, string> = {}): Promise<Backend> {
    const port = await freePort();
    const environment = {
      ...this.variables,
      BIND_ADDRESS: `127.0.0.1:${port}`,
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      COGNITO_JWKS_URL: `${this.endpoint}/${this.variables['COGNITO_USER_POOL_ID']}/.well-known/jwks.json`,
      ...variables,
    };
    const backend = new Backend(port, environment);
    this.#backends.push(backend);
    return backend;
  }

  async signUp(email: string): Promise<string> {
    const cognito = new CognitoIdentityProviderClient(this.aws);
    const user = { ClientId: this.webClientId, Username: email };
    await cognito.send(new SignUpCommand({ ...user, Password: PASSWORD }));
    await cognito.send(new ConfirmSignUpCommand({ ...user, ConfirmationCode: '000000' }));
    return email;
  }

  /** Authorization code with PKCE, as a browser goes through it; gives the access token. */
  async signIn(username: string, scope = 'openid items/read items/write'): Promise<string> {
    const verifier = randomBytes(32).toString('base64url');
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const returned = await this.authorize(username, { scope, code_challenge: challenge });
    const { searchParams } = new URL(returned.headers.get('location') ?? '');
    const form = {
      grant_type: 'authorization_code',
      client_id: this.webClientId,
      redirect_uri: CALLBACK_URL,
      code: searchParams.get('code') ?? '',
      code_verifier: verifier,
    };
    const answer = await fetch(`${this.endpoint}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) });
    assert.equal(answer.status, 200);
    return ((await answer.json()) as { access_token: string }).access_token;
  }

  authorize(username: string, parameters: Record<string, string>): Promise<Response> {
    const asked = {
      response_type: 'code',
      client_id: this.webClientId,
      redirect_uri: CALLBACK_URL,
      state: 'state',
      code_challenge: '',
      code_challenge_method: 'S256',
      scope: 'openid',
      ...parameters,
    };
    return fetch(`${this.endpoint}/oauth2/authorize?${new URLSearchParams(asked)}`, {
      method: 'POST',
      body: new URLSearchParams({ username, password: PASSWORD }),
      redirect: 'manual',
    });
  }
}

/** One process of the backend. */
export class Backend {
  readonly url: string;
  readonly log: string[] = [];
  readonly #process: ChildProcess;
  readonly #exited: Promise<number | null>;

  constructor(port: number, environment: Record<string, string>) {
    this.url = `http://127.0.0.1:${port}`;
    // No `.env` of a developer's must be found.
    this.#process = spawn(BACKEND, [], { env: environment, cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#exited = new Promise((resolve) => this.#process.once('exit', resolve));
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.log.push(line));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Waits until it answers this about its readiness. */
  async answers(status: number): Promise<this> {
    await eventually(async () => {
      assert.equal(this.#process.exitCode, null, 'the backend has stopped');
      const answer = await fetch(`${this.url}/health/ready`).catch(() => undefined);
      return answer?.status === status ? [true] : [];
    });
    return this;
  }

  /** Stops it as ECS does; gives its exit code. */
  async stop(): Promise<number | null> {
    this.#process.kill('SIGTERM');
    return this.#exited;
  }
}

/** A request with a token, and with a body if there is one. */
export function call(
  api: string,
  token: string,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(api + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

/** The first result that is not empty; what is waited for takes milliseconds, and never more than the limit. */
export async function eventually<T>(poll: () => T[] | Promise<T[]>, limitMs = 60_000): Promise<T[]> {
  const deadline = Date.now() + limitMs;
  while (Date.now() < deadline) {
    const found = await poll();
    if (found.length > 0) {
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`nothing within ${limitMs} ms`);
}

async function deploy(cloudFormation: CloudFormationClient, stack: StackId): Promise<void> {
  const StackName = `backend-production-${stack.toLowerCase()}`;
  const TemplateBody = JSON.stringify(templateOf('fargate', stack).toJSON());
  await cloudFormation.send(new CreateStackCommand({ StackName, TemplateBody }));
  const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
  assert.equal(Stacks?.[0]?.StackStatus, 'CREATE_COMPLETE', Stacks?.[0]?.StackStatusReason);
}

/** The variables of the Service template's container, with what the deployed stacks export. */
async function containerEnvironment(cloudFormation: CloudFormationClient): Promise<Record<string, string>> {
  const { Exports } = await cloudFormation.send(new ListExportsCommand({}));
  const exported = new Map(Exports?.map(({ Name, Value }) => [Name, Value]));
  const resolve = (value: unknown): string => {
    if (typeof value === 'string') {
      return value;
    }
    const [[intrinsic, argument] = []] = Object.entries(value as Record<string, unknown>);
    switch (intrinsic) {
      case 'Fn::ImportValue': {
        const found = exported.get(argument as string);
        assert.ok(found, `nothing exports ${argument}`);
        return found;
      }
      case 'Fn::Join': {
        const [separator, parts] = argument as [string, unknown[]];
        return parts.map(resolve).join(separator);
      }
      case 'Ref':
        assert.equal(argument, 'AWS::Region');
        return REGION;
      default:
        assert.fail(`${intrinsic} in the environment`);
    }
  };
  const [task] = Object.values(templateOf('fargate', 'Service').findResources('AWS::ECS::TaskDefinition'));
  const environment: { Name: string; Value: unknown }[] = task?.['Properties'].ContainerDefinitions[0].Environment;
  return Object.fromEntries(environment.map(({ Name, Value }) => [Name, resolve(Value)]));
}

async function firstLine(process: ChildProcess): Promise<string> {
  const lines = createInterface({ input: process.stdout! });
  return new Promise((resolve, reject) => {
    lines.once('line', resolve);
    process.once('exit', (code) => reject(new Error(`the fake AWS stopped with ${code}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
