import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IMAGE_NAMES, REPOSITORY_ROOT } from '../lib/image.ts';

const dockerfile = readFileSync(join(REPOSITORY_ROOT, 'Dockerfile'), 'utf8');

test('every member of the workspace is in the build context, or cargo would not read the workspace', () => {
  const [, members] = /^members = \[(.*)\]$/m.exec(readFileSync(join(REPOSITORY_ROOT, 'Cargo.toml'), 'utf8')) ?? assert.fail('no members');
  const context = readFileSync(join(REPOSITORY_ROOT, '.dockerignore'), 'utf8').split('\n');
  for (const [, member] of members?.matchAll(/"([^"*]+?)(?:\/\*)?"/g) ?? []) {
    assert.ok(context.includes(`!${member}`), `.dockerignore leaves out ${member}`);
  }
});

test('each image that is deployed is a target of the Dockerfile, runs as a numeric user, and is no shell', () => {
  for (const name of IMAGE_NAMES) {
    assert.match(dockerfile, new RegExp(`^FROM runtime AS ${name}$`, 'm'));
    assert.match(dockerfile, new RegExp(`^ENTRYPOINT \\["/usr/local/bin/${name}"\\]$`, 'm'));
  }
  assert.match(dockerfile, /^FROM gcr\.io\/distroless\/\S+ AS runtime$/m);
  assert.match(dockerfile, /^USER 65532:65532$/m);
});
