import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import * as dynamodb from '@aws-sdk/client-dynamodb';
import * as s3 from '@aws-sdk/client-s3';
import { REPOSITORY_ROOT } from '../lib/image.ts';
import { BUCKET_ACTIONS, OBJECT_ACTIONS, TABLE_ACTIONS } from '../lib/permissions.ts';

/**
 * The permission that each call needs, where it has another name than the call; null where its parts need their own.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html and …/list_amazons3.html
 */
const PERMISSIONS: Record<string, string | null> = {
  'dynamodb:TransactWriteItems': null,
  'dynamodb:TransactGetItems': null,
  's3:HeadObject': 's3:GetObject',
  's3:DeleteObjects': 's3:DeleteObject',
  's3:ListObjectsV2': 's3:ListBucket',
};

/** The parts of a transaction, by the type that builds them. */
const TRANSACTION_PARTS: Record<string, string> = {
  ConditionCheck: 'dynamodb:ConditionCheckItem',
  Delete: 'dynamodb:DeleteItem',
  Get: 'dynamodb:GetItem',
  Put: 'dynamodb:PutItem',
  Update: 'dynamodb:UpdateItem',
};

const SOURCE = join(REPOSITORY_ROOT, 'crates/backend/src');

test('the policy allows exactly what the code calls', () => {
  const called = new Set<string>();
  for (const file of rustFiles()) {
    const service = file.includes('services/s3') ? 's3' : 'dynamodb';
    for (const permission of file.includes('services/') ? permissionsOf(service, codeOf(file)) : []) {
      called.add(permission);
    }
  }
  assert.deepEqual([...TABLE_ACTIONS, ...OBJECT_ACTIONS, ...BUCKET_ACTIONS].sort(), [...called].sort());
});

test('nothing but the services calls AWS', () => {
  const elsewhere = rustFiles().filter((file) => !file.includes('services/'));
  for (const file of elsewhere) {
    // `.query()` is also a method of URLs; no other call has the name of something else.
    const calls = [...permissionsOf('dynamodb', codeOf(file)), ...permissionsOf('s3', codeOf(file))];
    assert.deepEqual(calls.filter((call) => call !== 'dynamodb:Query'), [], file);
  }
});

test('the scan sees a call, the parts of a transaction, and a call that is presigned', () => {
  const code = 'client.batch_get_item().send(); ConditionCheck::builder(); client\n  .transact_write_items()';
  assert.deepEqual(permissionsOf('dynamodb', code), ['dynamodb:BatchGetItem', 'dynamodb:ConditionCheckItem']);
  assert.deepEqual(permissionsOf('s3', 'client.head_object().bucket(b).presigned(c)'), ['s3:GetObject']);
});

function rustFiles(): string[] {
  const names = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.rs')).map((name) => relative(SOURCE, join(SOURCE, name)));
}

/** A file's code without its unit tests, which come last. */
function codeOf(file: string): string {
  return readFileSync(join(SOURCE, file), 'utf8').split('#[cfg(test)]\nmod tests')[0] ?? '';
}

function permissionsOf(service: 'dynamodb' | 's3', code: string): string[] {
  const operations = operationsOf(service === 's3' ? s3 : dynamodb);
  const calls = [...code.matchAll(/\.([a-z][a-z0-9_]*)\(\)/g)].flatMap(([, method]) => operations.get(method ?? '') ?? []);
  const parts = service === 's3' ? [] : [...code.matchAll(/\b([A-Z]\w+)::builder\(/g)].flatMap(([, type]) => TRANSACTION_PARTS[type ?? ''] ?? []);
  const permissions = calls.flatMap((operation) => {
    const call = `${service}:${operation}`;
    return call in PERMISSIONS ? (PERMISSIONS[call] ?? []) : call;
  });
  return [...new Set([...permissions, ...parts])];
}

/** Every operation of a service by the name of its method in the Rust SDK, as the JavaScript SDK's commands list them. */
function operationsOf(sdk: object): Map<string, string> {
  const commands = Object.keys(sdk).filter((name) => name.endsWith('Command') && !name.startsWith('$'));
  return new Map(commands.map((command) => command.slice(0, -'Command'.length)).map((name) => [snakeCase(name), name]));
}

function snakeCase(name: string): string {
  return name.replace(/([a-z])(?=[A-Z])|([A-Z]+)(?=[A-Z][a-z])/g, '$&_').toLowerCase();
}
