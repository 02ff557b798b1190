import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT } from '../lib/image.ts';
import { templateOf, templateWith } from './synth.ts';

/** What AWS is told nothing about: the backend's own defaults, and what only a laptop or a fake AWS needs. */
const LEFT_AT_THEIR_DEFAULTS = [
  'ADMIN_MAX_AGE_SECONDS',
  'ATTACHMENTS_PER_ITEM',
  'ATTACHMENTS_PER_USER',
  'ATTACHMENT_BYTES_PER_USER',
  'ATTACHMENT_MAX_BYTES',
  'AWS_ENDPOINT_URL_DYNAMODB',
  'AWS_ENDPOINT_URL_S3',
  'COGNITO_ISSUER',
  'COGNITO_JWKS_URL',
  'COGNITO_REQUIRE_SCOPES',
  'CONCURRENT_REQUESTS_PER_CALLER',
  'MAX_BODY_BYTES',
  'MAX_CONCURRENT_REQUESTS',
  'MAX_CONNECTIONS',
  'MAX_CONNECTIONS_PER_ADDRESS',
  'METRICS_ADDRESS',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_METRICS_EXPORTER',
  'OTEL_SERVICE_NAME',
  'OTEL_TRACES_EXPORTER',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
  'PRESIGNED_URL_SECONDS',
  'RATE_LIMIT_PER_MINUTE',
  'REJECTIONS_PER_MINUTE_PER_ADDRESS',
  'REQUEST_TIMEOUT_SECONDS',
  'REVOCATIONS_REQUIRED',
  'RUST_LOG',
  'SHUTDOWN_TIMEOUT_SECONDS',
  'WRITE_TIMEOUT_SECONDS',
];

/** What the container is told about its network, and a function is not. */
const CONTAINER_ONLY = ['AWS_REGION', 'BIND_ADDRESS', 'HEADER_TIMEOUT_SECONDS', 'TRUSTED_PROXIES'];

/** What the deployment `fargate` has by its context, and `lambda` has not. */
const BY_CONTEXT = ['CORS_ALLOWED_ORIGINS', 'MCP', 'MCP_BROKER_KEY', 'MCP_CLIENT_ID', 'MCP_REDIRECT_URIS'];

/** What another stack makes, and so must be imported from it. */
const IMPORTED = ['COGNITO_USER_POOL_ID', 'COGNITO_APP_CLIENT_ID', 'COGNITO_DOMAIN', 'DYNAMODB_TABLE_NAME', 'S3_BUCKET_NAME'];

test('fargate: every variable of .env.example is set, or left at its default on purpose', () => {
  const decided = [...Object.keys(containerVariables()), ...LEFT_AT_THEIR_DEFAULTS];
  assert.deepEqual(decided.sort(), documentedVariables());
});

test('lambda: the function has the container\'s variables, but for its network', () => {
  const expected = Object.keys(containerVariables()).filter((name) => !CONTAINER_ONLY.includes(name) && !BY_CONTEXT.includes(name));
  assert.deepEqual(Object.keys(functionVariables()).sort(), expected.sort());
});

test('the key of the log\'s hashes is in no template', () => {
  for (const variables of [containerVariables(), functionVariables()]) {
    assert.match(JSON.stringify(variables['LOG_HASH_KEY']), /LogHashKey/);
  }
  assert.match(JSON.stringify(functionVariables()['LOG_HASH_KEY']), /resolve:secretsmanager/);
});

for (const [compute, variables] of [['fargate', containerVariables()], ['lambda', functionVariables()]] as const) {
  test(`${compute}: what another stack makes is imported from it`, () => {
    for (const name of IMPORTED) {
      assert.match(JSON.stringify(variables[name]), /"Fn::ImportValue"/, name);
    }
  });
}

test('lambda: a function serves AI clients, too, with the key of the broker by reference', () => {
  const context = { domainName: 'api.example.com', hostedZoneId: 'Z0123456789ABCDEFGHIJ', mcp: 'true' };
  const [handler] = Object.values(templateWith(context, 'Service').findResources('AWS::Lambda::Function'));
  const variables = handler?.['Properties'].Environment.Variables;
  assert.equal(variables.MCP, 'true');
  assert.match(JSON.stringify(variables.MCP_BROKER_KEY), /resolve:secretsmanager/);
  assert.match(JSON.stringify(variables.MCP_CLIENT_ID), /Fn::ImportValue/);
});

function documentedVariables(): string[] {
  const example = readFileSync(join(REPOSITORY_ROOT, '.env.example'), 'utf8');
  return [...example.matchAll(/^#?\s?([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name ?? '').sort();
}

function containerVariables(): Record<string, unknown> {
  const [task] = Object.values(templateOf('fargate', 'Service').findResources('AWS::ECS::TaskDefinition'));
  const container = task?.['Properties'].ContainerDefinitions[0];
  const variables: { Name: string; Value?: unknown; ValueFrom?: unknown }[] = [...container.Environment, ...container.Secrets];
  return Object.fromEntries(variables.map(({ Name, Value, ValueFrom }) => [Name, Value ?? ValueFrom]));
}

function functionVariables(): Record<string, unknown> {
  const [handler] = Object.values(templateOf('lambda', 'Service').findResources('AWS::Lambda::Function'));
  return handler?.['Properties'].Environment.Variables;
}
