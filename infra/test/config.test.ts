import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appWith, DEPLOYMENTS } from './synth.ts';

test('every mistake in the context is listed, with its name', () => {
  const wrong = {
    stage: 'Pro duction',
    compute: 'ec2',
    architecture: 'mips',
    callbackUrls: 'http://app.example.com/callback',
    webOrigins: 'https://app.example.com/',
    imageDigest: 'latest',
    natGateways: '0',
    reservedConcurrency: 'many',
    web: 'perhaps',
    waf: 'perhaps',
    retainData: 'perhaps',
    githubOidcProvider: 'other',
    hostedZoneId: 'Z0123456789ABCDEFGHIJ',
  };
  assert.throws(() => appWith(wrong), (error: Error) => {
    for (const name of Object.keys(wrong)) {
      assert.match(error.message, new RegExp(`\\b${name}\\b`));
    }
    assert.match(error.message, /13 mistake/);
    return true;
  });
});

test('a load balancer is not built without a name for its certificate', () => {
  assert.throws(() => appWith({ compute: 'fargate' }), /compute=fargate needs domainName and hostedZoneId/);
});

test('lists may be JSON in cdk.json or text on the command line', () => {
  assert.doesNotThrow(() => appWith({ webOrigins: 'https://a.example.com, https://b.example.com' }));
});

test('a setting of one way to run the backend is rejected for the other', () => {
  assert.throws(() => appWith({ waf: 'true' }), /waf=true needs compute=fargate/);
  assert.throws(() => appWith({ ...DEPLOYMENTS.fargate, reservedConcurrency: '5' }), /reservedConcurrency needs compute=lambda/);
});
