import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { IgnoreStrategy } from 'aws-cdk-lib';
import { IMAGE_NAMES, REPOSITORY_ROOT } from '../lib/image.ts';

const dockerfile = readFileSync(join(REPOSITORY_ROOT, 'Dockerfile'), 'utf8');

test('every member of the workspace is in the build context, or cargo would not read the workspace', () => {
  const ignored = readFileSync(join(REPOSITORY_ROOT, '.dockerignore'), 'utf8').split('\n');
  const ignore = IgnoreStrategy.docker(REPOSITORY_ROOT, ignored.filter((line) => line !== '' && !line.startsWith('#')));
  const members = execFileSync('git', ['ls-files', '*/Cargo.toml'], { cwd: REPOSITORY_ROOT, encoding: 'utf8' }).trim().split('\n');
  assert.ok(members.length > 5);
  for (const manifest of members) {
    assert.ok(!ignore.completelyIgnores(join(REPOSITORY_ROOT, manifest)), manifest);
    assert.ok(!ignore.completelyIgnores(join(REPOSITORY_ROOT, dirname(manifest), 'src', 'main.rs')), manifest);
  }
  assert.ok(ignore.completelyIgnores(join(REPOSITORY_ROOT, 'target', 'debug', 'backend')));
});

test('each image that is deployed is a target of the Dockerfile, runs as a numeric user, and starts no shell', () => {
  for (const name of IMAGE_NAMES) {
    assert.match(dockerfile, new RegExp(`^FROM runtime AS ${name}$`, 'm'));
    assert.match(dockerfile, new RegExp(`^ENTRYPOINT \\["/usr/local/bin/${name}"\\]$`, 'm'));
  }
  assert.match(dockerfile, /^FROM gcr\.io\/distroless\/\S+ AS runtime$/m);
  assert.match(dockerfile, /^USER 65532:65532$/m);
});
