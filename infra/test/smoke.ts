import assert from 'node:assert/strict';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { CognitoIdentityProviderClient, DescribeUserPoolClientCommand } from '@aws-sdk/client-cognito-identity-provider';

/** A running stage, and a client that may use it. */
export interface Target {
  readonly api: string;
  readonly tokenEndpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** Goes through the API as the machine client: every service that the stage is made of is reached, and nothing is left behind. */
export async function smokeTest(target: Target): Promise<void> {
  await expect(fetch(`${target.api}/health/ready`), 200);
  const refused = await expect(fetch(`${target.api}/items`), 401);
  assert.match(refused.headers.get('www-authenticate') ?? '', /^Bearer /, 'what is in front of the backend keeps the challenge');
  const token = await machineToken(target);
  const request = (method: string, path: string, body?: object) => fetch(target.api + path, requestOf(token, method, body));

  const item = await json<{ id: string }>(expect(request('POST', '/items', { title: 'Smoke test', description: null }), 201));
  try {
    await expect(request('GET', `/items/${item.id}`), 200);
    await expect(request('PATCH', `/items/${item.id}`, { title: 'Smoke test, changed' }), 200);
    await exchangeAttachment(request, item.id);
  } finally {
    await expect(request('DELETE', `/items/${item.id}`), 204);
  }
  await expect(request('GET', `/items/${item.id}`), 404);
}

/** What CloudFormation says of a stage; needs the permissions of the Delivery stack's role. */
export async function findTarget(stage: string): Promise<Target> {
  const identity = await outputsOf(`backend-${stage}-identity`);
  const service = await outputsOf(`backend-${stage}-service`);
  const ids = { UserPoolId: identity['UserPoolId'], ClientId: identity['MachineClientId'] };
  const { UserPoolClient } = await new CognitoIdentityProviderClient().send(new DescribeUserPoolClientCommand(ids));
  return {
    api: service['PublicUrl'] ?? '',
    tokenEndpoint: `${identity['ManagedLoginUrl']}/oauth2/token`,
    clientId: UserPoolClient?.ClientId ?? '',
    clientSecret: UserPoolClient?.ClientSecret ?? '',
  };
}

async function exchangeAttachment(request: (method: string, path: string, body?: object) => Promise<Response>, itemId: string): Promise<void> {
  const path = `/items/${itemId}/attachments`;
  const described = { filename: 'smoke.txt', content_type: 'text/plain', size: 5 };
  const { id, upload } = await json<{ id: string; upload: { url: string; headers: Record<string, string> } }>(
    expect(request('POST', path, described), 201),
  );
  await expect(fetch(upload.url, { method: 'PUT', headers: upload.headers, body: 'smoke' }), 200);
  const { download } = await json<{ download: { url: string; headers: Record<string, string> } }>(expect(request('GET', `${path}/${id}`), 200));
  const stored = await expect(fetch(download.url, { headers: download.headers }), 200);
  assert.equal(await stored.text(), 'smoke');
}

/** Client credentials (RFC 6749 §4.4), which no user has to be there for. */
async function machineToken({ tokenEndpoint, clientId, clientSecret }: Target): Promise<string> {
  const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
  const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'items/read items/write' });
  const answer = fetch(tokenEndpoint, { method: 'POST', headers: { authorization: `Basic ${basic}` }, body: form });
  return (await json<{ access_token: string }>(expect(answer, 200))).access_token;
}

function requestOf(token: string, method: string, body: object | undefined): RequestInit {
  const authorization = `Bearer ${token}`;
  if (body === undefined) {
    return { method, headers: { authorization } };
  }
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return { method, headers: { authorization, 'content-type': type }, body: JSON.stringify(body) };
}

async function expect(answer: Promise<Response>, status: number): Promise<Response> {
  const response = await answer;
  // The path alone: the query of a presigned URL is a credential.
  const { origin, pathname } = new URL(response.url);
  assert.equal(response.status, status, `${origin}${pathname} answers ${response.status}, not ${status}`);
  return response;
}

async function json<T>(response: Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}

async function outputsOf(stackName: string): Promise<Record<string, string>> {
  const { Stacks } = await new CloudFormationClient().send(new DescribeStacksCommand({ StackName: stackName }));
  return Object.fromEntries((Stacks?.[0]?.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
}

if (process.argv[1] === import.meta.filename) {
  const stage = process.argv[2] ?? 'production';
  await smokeTest(await findTarget(stage));
  console.log(`${stage}: signed in, kept an item and an attachment, and removed both`);
}
