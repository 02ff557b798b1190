import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEPLOYMENTS, type StackId, templateOf } from './synth.ts';

const STACKS: readonly StackId[] = ['Identity', 'Data', 'Service', 'Observability'];

/** Of `web`, what the others do not have; web.test.ts names what it changes in them. */
const REVIEWED: Record<keyof typeof DEPLOYMENTS, readonly StackId[]> = {
  lambda: STACKS,
  fargate: STACKS,
  web: ['Web', 'WebContent'],
  release: [...STACKS, 'Delivery'],
};

for (const deployment of Object.keys(DEPLOYMENTS) as (keyof typeof DEPLOYMENTS)[]) {
  for (const stack of REVIEWED[deployment]) {
    test(`${deployment}: ${stack} is the template that was reviewed`, () => {
      const file = new URL(`snapshots/${deployment}-${stack}.json`.toLowerCase(), import.meta.url);
      const synthesized = withoutAssetHashes(JSON.stringify(templateOf(deployment, stack).toJSON(), undefined, 1)) + '\n';
      if (process.env['UPDATE_SNAPSHOTS']) {
        writeFileSync(file, synthesized);
      }
      assert.equal(synthesized, readFileSync(file, 'utf8'), '`npm run update-snapshots` accepts the change');
    });
  }
}

/** The hash of the image's sources changes with every commit, and no template is another for it. */
function withoutAssetHashes(template: string): string {
  const digest = DEPLOYMENTS.release.imageDigest.slice('sha256:'.length);
  return template.replace(/\b[0-9a-f]{64}\b/g, (hash) => (hash === digest ? hash : '<asset hash>'));
}
