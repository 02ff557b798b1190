import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
  ListExportsCommand,
} from '@aws-sdk/client-cloudformation';
import {
  AdminAddUserToGroupCommand,
  CognitoIdentityProviderClient,
  ConfirmSignUpCommand,
  DescribeUserPoolClientCommand,
  SignUpCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { REPOSITORY_ROOT } from '../lib/image.ts';
import { LOG_EVENTS } from '../lib/log-events.ts';
import { smokeTest } from './smoke.ts';
import { type StackId, templateOf } from './synth.ts';

// The synthesized templates, deployed by CloudFormation to a fake AWS; a user who signs in there; and the `backend` binary,
// given the variables that its container would be given, and besides them only where the fake AWS is.

const REGION = 'us-east-1';
const CREDENTIALS = { accessKeyId: 'fake', secretAccessKey: 'fake' };
const CALLBACK_URL = 'https://app.example.com/callback';
const PASSWORD = 'correct Horse 7 battery!';
const PYTHON = process.env['PYTHON'] ?? join(REPOSITORY_ROOT, 'infra/.venv/bin/python');
const BACKEND = process.env['BACKEND'] ?? join(REPOSITORY_ROOT, 'target/debug/backend');

interface Problem {
  readonly status: number;
  readonly detail: string;
}

let fakeAws: ChildProcess;
let endpoint: string;
let backend: ChildProcess;
let api: string;
let variables: Record<string, string>;
const log: string[] = [];

before(async () => {
  assert.ok(existsSync(BACKEND), `${BACKEND} is missing: cargo build -p backend`);
  fakeAws = spawn(PYTHON, ['-m', 'fake_aws'], { cwd: import.meta.dirname, stdio: ['pipe', 'pipe', process.env['DEBUG'] ? 'inherit' : 'ignore'] });
  endpoint = await firstLine(fakeAws);
  await deploy('Identity');
  await deploy('Data');
  variables = await containerEnvironment();
  const port = await freePort();
  api = `http://127.0.0.1:${port}`;
  const jwksUrl = `${endpoint}/${variables['COGNITO_USER_POOL_ID']}/.well-known/jwks.json`;
  backend = startBackend(port, jwksUrl, log);
  await ready();
}, { timeout: 60_000 });

after(async () => {
  fakeAws?.stdin?.end();
  if (backend !== undefined) {
    await stop(backend);
  }
});

test('a user who signs in keeps items in the deployed table', async () => {
  const token = await signIn(await signUp('alice@example.com'));
  const created = await call(token, 'POST', '/items', { title: 'Tea', description: null }, { 'idempotency-key': 'once' });
  assert.equal(created.status, 201);
  const { id } = (await created.json()) as { id: string };

  const listed = await call(token, 'GET', '/items');
  assert.deepEqual(((await listed.json()) as { items: { id: string }[] }).items.map((item) => item.id), [id]);

  const rows = await rowsOf(await subjectOf(token));
  assert.ok(rows.some((row) => row['sk']?.S === `ITEM#${id}`));
});

test('what the backend lets expire has the attribute that the table watches', async () => {
  const token = await signIn(await signUp('bob@example.com'));
  await call(token, 'POST', '/items', { title: 'Tea', description: null }, { 'idempotency-key': 'once' });
  const [table] = Object.values(templateOf('fargate', 'Data').findResources('AWS::DynamoDB::Table'));
  const attribute = table?.['Properties'].TimeToLiveSpecification.AttributeName;
  const record = (await rowsOf(await subjectOf(token))).find((row) => row['sk']?.S?.startsWith('IDEMPOTENCY#'));
  const lifetime = Number(record?.[attribute]?.N) - Date.now() / 1000;
  assert.ok(lifetime > 86_000 && lifetime <= 86_400, `${lifetime} s`);
});

test('another user does not find them', async () => {
  const carol = await signIn(await signUp('carol@example.com'));
  const dave = await signIn(await signUp('dave@example.com'));
  const { id } = (await (await call(carol, 'POST', '/items', { title: 'Hers', description: null })).json()) as { id: string };
  assert.equal((await call(dave, 'GET', `/items/${id}`)).status, 404);
});

test('an attachment goes to the deployed bucket, under the prefix that the policy names', async () => {
  const token = await signIn(await signUp('erin@example.com'));
  const { id } = (await (await call(token, 'POST', '/items', { title: 'Photo', description: null })).json()) as { id: string };
  const described = { filename: 'tea.txt', content_type: 'text/plain', size: 3 };
  const reserved = await call(token, 'POST', `/items/${id}/attachments`, described);
  assert.equal(reserved.status, 201);
  const { upload } = (await reserved.json()) as { upload: { url: string; headers: Record<string, string> } };
  const url = new URL(upload.url);
  assert.equal((await fetch(url, { method: 'PUT', headers: upload.headers, body: 'tea' })).status, 200);

  const [, bucket, ...key] = url.pathname.split('/');
  assert.equal(bucket, variables['S3_BUCKET_NAME']);
  assert.equal(key[0], 'attachments');
  const s3 = new S3Client({ region: REGION, endpoint, credentials: CREDENTIALS, forcePathStyle: true });
  const stored = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key.map(decodeURIComponent).join('/') }));
  assert.equal(await stored.Body?.transformToString(), 'tea');
});

test('the group of the template opens the routes of administrators, and no other does', async () => {
  const user = await signUp('frank@example.com');
  const path = `/admin/users/${await subjectOf(await signIn(user))}/items`;
  assert.equal((await call(await signIn(user), 'GET', path)).status, 403);
  const cognito = new CognitoIdentityProviderClient({ region: REGION, endpoint, credentials: CREDENTIALS });
  const UserPoolId = variables['COGNITO_USER_POOL_ID'];
  await cognito.send(new AdminAddUserToGroupCommand({ UserPoolId, Username: user, GroupName: 'admins' }));
  assert.equal((await call(await signIn(user), 'GET', path)).status, 200);
});

test('the deployed client grants no scope that it was not given, and returns to no other page', async () => {
  const user = await signUp('grace@example.com');
  assert.match((await authorize(user, { scope: 'items/everything' })).headers.get('location') ?? '', /error=invalid_scope/);
  assert.equal((await authorize(user, { redirect_uri: 'https://evil.example.com/' })).status, 400);
});

test('a token without the scope is refused, by name', async () => {
  const token = await signIn(await signUp('heidi@example.com'), 'openid items/read');
  assert.equal((await call(token, 'GET', '/items')).status, 200);
  const refused = await call(token, 'POST', '/items', { title: 'No', description: null });
  assert.equal(refused.status, 403);
  assert.match(refused.headers.get('www-authenticate') ?? '', /items\/write/);
});

test('a refused token is counted in the log', async () => {
  const refused = await call('not.a.token', 'GET', '/users/me');
  assert.equal(refused.status, 401);
  assert.equal(((await refused.json()) as Problem).status, 401);
  const lines = await eventually(() => log.filter((line) => matches(line, LOG_EVENTS.refusedToken.pattern)));
  assert.equal(lines.length, 1);
});

test('a failed fetch of the keys is counted in the log', async () => {
  const lines: string[] = [];
  const port = await freePort();
  const cutOff = startBackend(port, `http://127.0.0.1:${await freePort()}/jwks.json`, lines);
  try {
    await eventually(async () => ((await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined))?.status === 503 ? [true] : []));
    await eventually(() => lines.filter((line) => matches(line, LOG_EVENTS.keySetFetchFailure.pattern)));
  } finally {
    await stop(cutOff);
  }
});

test('the smoke test of a deployed stage goes through, and tells a broken one', async () => {
  const cognito = new CognitoIdentityProviderClient({ region: REGION, endpoint, credentials: CREDENTIALS });
  const ClientId = variables['COGNITO_APP_CLIENT_ID']?.split(',')[1];
  const { UserPoolClient } = await cognito.send(
    new DescribeUserPoolClientCommand({ UserPoolId: variables['COGNITO_USER_POOL_ID'], ClientId }),
  );
  const clientSecret = UserPoolClient?.ClientSecret ?? '';
  const target = { api, tokenEndpoint: `${endpoint}/oauth2/token`, clientId: ClientId ?? '', clientSecret };
  await smokeTest(target);
  await assert.rejects(smokeTest({ ...target, clientSecret: 'wrong' }), /oauth2\/token answers 400, not 200/);
});

function startBackend(port: number, jwksUrl: string, lines: string[]): ChildProcess {
  const started = spawn(BACKEND, [], {
    env: {
      ...variables,
      BIND_ADDRESS: `127.0.0.1:${port}`,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      COGNITO_JWKS_URL: jwksUrl,
    },
    // No `.env` of a developer's must be found.
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: started.stdout! }).on('line', (line) => lines.push(line));
  return started;
}

async function stop(started: ChildProcess): Promise<void> {
  if (started.exitCode === null) {
    started.kill('SIGTERM');
    await new Promise((resolve) => started.once('exit', resolve));
  }
}

async function deploy(stack: StackId): Promise<void> {
  const cloudFormation = new CloudFormationClient({ region: REGION, endpoint, credentials: CREDENTIALS });
  const StackName = `backend-production-${stack.toLowerCase()}`;
  const TemplateBody = JSON.stringify(templateOf('fargate', stack).toJSON());
  await cloudFormation.send(new CreateStackCommand({ StackName, TemplateBody }));
  const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
  assert.equal(Stacks?.[0]?.StackStatus, 'CREATE_COMPLETE', Stacks?.[0]?.StackStatusReason);
}

/** The variables of the Service template's container, with what the deployed stacks export. */
async function containerEnvironment(): Promise<Record<string, string>> {
  const cloudFormation = new CloudFormationClient({ region: REGION, endpoint, credentials: CREDENTIALS });
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

async function signUp(email: string): Promise<string> {
  const cognito = new CognitoIdentityProviderClient({ region: REGION, endpoint, credentials: CREDENTIALS });
  await cognito.send(new SignUpCommand({ ClientId: webClientId(), Username: email, Password: PASSWORD }));
  await cognito.send(new ConfirmSignUpCommand({ ClientId: webClientId(), Username: email, ConfirmationCode: '000000' }));
  return email;
}

/** Authorization code with PKCE, as a browser goes through it; gives the access token. */
async function signIn(username: string, scope = 'openid items/read items/write'): Promise<string> {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const returned = await authorize(username, { scope, code_challenge: challenge });
  const { searchParams } = new URL(returned.headers.get('location') ?? '');
  const form = { grant_type: 'authorization_code', client_id: webClientId(), redirect_uri: CALLBACK_URL, code: searchParams.get('code') ?? '', code_verifier: verifier };
  const answer = await fetch(`${endpoint}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) });
  assert.equal(answer.status, 200);
  return ((await answer.json()) as { access_token: string }).access_token;
}

function authorize(username: string, parameters: Record<string, string>): Promise<Response> {
  const asked = { response_type: 'code', client_id: webClientId(), redirect_uri: CALLBACK_URL, state: 'state', code_challenge: '', code_challenge_method: 'S256', scope: 'openid', ...parameters };
  return fetch(`${endpoint}/oauth2/authorize?${new URLSearchParams(asked)}`, {
    method: 'POST',
    body: new URLSearchParams({ username, password: PASSWORD }),
    redirect: 'manual',
  });
}

function webClientId(): string {
  return variables['COGNITO_APP_CLIENT_ID']?.split(',')[0] ?? '';
}

function call(token: string, method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(api + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

async function subjectOf(token: string): Promise<string> {
  return ((await (await call(token, 'GET', '/users/me')).json()) as { sub: string }).sub;
}

async function rowsOf(subject: string): Promise<NonNullable<Awaited<ReturnType<typeof queryRows>>>> {
  return (await queryRows(subject)) ?? [];
}

async function queryRows(subject: string) {
  const dynamodb = new DynamoDBClient({ region: REGION, endpoint, credentials: CREDENTIALS });
  const { Items } = await dynamodb.send(
    new QueryCommand({
      TableName: variables['DYNAMODB_TABLE_NAME'],
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: `USER#${variables['COGNITO_USER_POOL_ID']}#${subject}` } },
    }),
  );
  return Items;
}

/** Whether a line of the log is what a filter of one comparison looks for. */
function matches(line: string, pattern: string): boolean {
  const [, path, expected] = /^\{ \$\.([\w.]+) = (.+) \}$/.exec(pattern) ?? assert.fail(pattern);
  const found = path?.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], JSON.parse(line));
  return found === JSON.parse(expected ?? '');
}

async function ready(): Promise<void> {
  await eventually(async () => {
    assert.equal(backend.exitCode, null, 'the backend has stopped');
    return (await fetch(`${api}/health/ready`).catch(() => undefined))?.ok ? [true] : [];
  });
}

/** The first result that is not empty; what is waited for takes milliseconds, and never more than the limit. */
async function eventually<T>(poll: () => T[] | Promise<T[]>, limitMs = 20_000): Promise<T[]> {
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

async function firstLine(process: ChildProcess): Promise<string> {
  const lines = createInterface({ input: process.stdout! });
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve);
    process.once('exit', (code) => reject(new Error(`the fake AWS stopped with ${code}`)));
  });
  return line;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

