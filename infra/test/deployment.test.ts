import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  AdminAddUserToGroupCommand,
  CognitoIdentityProviderClient,
  DescribeUserPoolClientCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { type AttributeValue, DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { LOG_EVENTS } from '../lib/log-events.ts';
import { smokeTest } from './smoke.ts';
import { type Backend, call, DeployedStage, eventually } from './stage.ts';
import { templateOf } from './synth.ts';

let stage: DeployedStage;
let backend: Backend;

before(async () => {
  stage = await DeployedStage.start();
  backend = await (await stage.startBackend()).answers(200);
}, { timeout: 120_000 });

after(() => stage?.stop());

test('a user who signs in keeps items in the deployed table', async () => {
  const token = await stage.signIn(await stage.signUp('alice@example.com'));
  const created = await call(backend.url, token, 'POST', '/items', { title: 'Tea', description: null }, { 'idempotency-key': 'once' });
  assert.equal(created.status, 201);
  const { id } = (await created.json()) as { id: string };

  const listed = await call(backend.url, token, 'GET', '/items');
  assert.deepEqual(((await listed.json()) as { items: { id: string }[] }).items.map((item) => item.id), [id]);

  const rows = await rowsOf(await subjectOf(token));
  assert.ok(rows.some((row) => row['sk']?.S === `ITEM#${id}`));
});

test('what the backend lets expire has the attribute that the table watches', async () => {
  const token = await stage.signIn(await stage.signUp('bob@example.com'));
  await call(backend.url, token, 'POST', '/items', { title: 'Tea', description: null }, { 'idempotency-key': 'once' });
  const [table] = Object.values(templateOf('fargate', 'Data').findResources('AWS::DynamoDB::Table'));
  const attribute = table?.['Properties'].TimeToLiveSpecification.AttributeName;
  const record = (await rowsOf(await subjectOf(token))).find((row) => row['sk']?.S?.startsWith('IDEMPOTENCY#'));
  const lifetime = Number(record?.[attribute]?.N) - Date.now() / 1000;
  assert.ok(lifetime > 86_000 && lifetime <= 86_400, `${lifetime} s`);
});

test('another user does not find them', async () => {
  const carol = await stage.signIn(await stage.signUp('carol@example.com'));
  const dave = await stage.signIn(await stage.signUp('dave@example.com'));
  const { id } = (await (await call(backend.url, carol, 'POST', '/items', { title: 'Hers', description: null })).json()) as { id: string };
  assert.equal((await call(backend.url, dave, 'GET', `/items/${id}`)).status, 404);
});

test('an attachment goes to the deployed bucket, under the prefix that the policy names', async () => {
  const token = await stage.signIn(await stage.signUp('erin@example.com'));
  const { id } = (await (await call(backend.url, token, 'POST', '/items', { title: 'Photo', description: null })).json()) as { id: string };
  const described = { filename: 'tea.txt', content_type: 'text/plain', size: 3 };
  const reserved = await call(backend.url, token, 'POST', `/items/${id}/attachments`, described);
  assert.equal(reserved.status, 201);
  const { upload } = (await reserved.json()) as { upload: { url: string; headers: Record<string, string> } };
  const url = new URL(upload.url);
  assert.equal((await fetch(url, { method: 'PUT', headers: upload.headers, body: 'tea' })).status, 200);

  const [, bucket, ...key] = url.pathname.split('/');
  assert.equal(bucket, stage.variables['S3_BUCKET_NAME']);
  assert.equal(key[0], 'attachments');
  const s3 = new S3Client({ ...stage.aws, forcePathStyle: true });
  const stored = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key.map(decodeURIComponent).join('/') }));
  assert.equal(await stored.Body?.transformToString(), 'tea');
});

test('the group of the template opens the routes of administrators, and no other does', async () => {
  const user = await stage.signUp('frank@example.com');
  const path = `/admin/users/${await subjectOf(await stage.signIn(user))}/items`;
  assert.equal((await call(backend.url, await stage.signIn(user), 'GET', path)).status, 403);
  const cognito = new CognitoIdentityProviderClient(stage.aws);
  const UserPoolId = stage.variables['COGNITO_USER_POOL_ID'];
  await cognito.send(new AdminAddUserToGroupCommand({ UserPoolId, Username: user, GroupName: 'admins' }));
  assert.equal((await call(backend.url, await stage.signIn(user), 'GET', path)).status, 200);
});

test('the deployed client grants no scope that it was not given, and returns to no other page', async () => {
  const user = await stage.signUp('grace@example.com');
  assert.match((await stage.authorize(user, { scope: 'items/everything' })).headers.get('location') ?? '', /error=invalid_scope/);
  assert.equal((await stage.authorize(user, { redirect_uri: 'https://evil.example.com/' })).status, 400);
});

test('a token without the scope is refused, by name', async () => {
  const token = await stage.signIn(await stage.signUp('heidi@example.com'), 'openid items/read');
  assert.equal((await call(backend.url, token, 'GET', '/items')).status, 200);
  const refused = await call(backend.url, token, 'POST', '/items', { title: 'No', description: null });
  assert.equal(refused.status, 403);
  assert.match(refused.headers.get('www-authenticate') ?? '', /items\/write/);
});

test('a refused token is counted in the log', async () => {
  const refused = await call(backend.url, 'not.a.token', 'GET', '/users/me');
  assert.equal(refused.status, 401);
  assert.equal(((await refused.json()) as { status: number }).status, 401);
  const lines = await eventually(() => backend.log.filter((line) => matches(line, LOG_EVENTS.refusedToken.pattern)));
  assert.equal(lines.length, 1);
});

test('a server fault is counted in the log, a rejected caller is not', async () => {
  const faults = (log: string[]) => log.filter((line) => matches(line, LOG_EVENTS.serverFault.pattern));
  assert.deepEqual(faults(backend.log), []);
  const broken = await stage.startBackend({ DYNAMODB_TABLE_NAME: 'missing' });
  await broken.answers(503);
  const token = await stage.signIn(await stage.signUp('ivan@example.com'));
  assert.equal((await call(broken.url, token, 'GET', '/items')).status, 500);
  await eventually(() => faults(broken.log));
});

test('a failed fetch of the keys is counted in the log', async () => {
  const cutOff = await stage.startBackend({ COGNITO_JWKS_URL: 'http://127.0.0.1:9/jwks.json' });
  await cutOff.answers(503);
  await eventually(() => cutOff.log.filter((line) => matches(line, LOG_EVENTS.keySetFetchFailure.pattern)));
});

test('the smoke test of a deployed stage goes through, and tells a broken one', async () => {
  const cognito = new CognitoIdentityProviderClient(stage.aws);
  const ClientId = stage.machineClientId;
  const { UserPoolClient } = await cognito.send(
    new DescribeUserPoolClientCommand({ UserPoolId: stage.variables['COGNITO_USER_POOL_ID'], ClientId }),
  );
  const clientSecret = UserPoolClient?.ClientSecret ?? '';
  const target = { api: backend.url, tokenEndpoint: `${stage.endpoint}/oauth2/token`, clientId: ClientId, clientSecret };
  await smokeTest(target);
  await assert.rejects(smokeTest({ ...target, clientSecret: 'wrong' }), /oauth2\/token answers 400, not 200/);
});

async function subjectOf(token: string): Promise<string> {
  return ((await (await call(backend.url, token, 'GET', '/users/me')).json()) as { sub: string }).sub;
}

/** What the table holds of a user. */
async function rowsOf(subject: string): Promise<Record<string, AttributeValue>[]> {
  const { Items } = await new DynamoDBClient(stage.aws).send(
    new QueryCommand({
      TableName: stage.variables['DYNAMODB_TABLE_NAME'],
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: `USER#${stage.variables['COGNITO_USER_POOL_ID']}#${subject}` } },
    }),
  );
  return Items ?? [];
}

/** Whether a line of the log is what a filter of one comparison looks for. */
function matches(line: string, pattern: string): boolean {
  const comparison = pattern.replace('IS TRUE', '= true');
  const [, path, expected] = /^\{ \$\.([\w.]+) = (.+) \}$/.exec(comparison) ?? assert.fail(pattern);
  const found = path?.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], JSON.parse(line));
  return found === JSON.parse(expected ?? '');
}
