import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { appWith, DEPLOYMENTS } from './synth.ts';

for (const [name, context] of Object.entries(DEPLOYMENTS)) {
  test(`${name}: each finding of AwsSolutions was mended or has its reason`, () => {
    const app = appWith(context);
    app.synth();
    const reasons = app.node.findAll().flatMap(acknowledgements);
    assert.ok(reasons.length > 0);
    for (const [finding, reason] of reasons) {
      assert.match(reason, /^\S.{30,}[.]$/, `${finding}: the reason is a sentence`);
    }
  });
}

test('a finding without a reason fails the synthesis', () => {
  const app = new App({ analyticsReporting: false });
  new Bucket(new Stack(app, 'Stack'), 'Open');
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  assert.throws(() => app.synth(), /Validation failed/);
});

/** What was acknowledged on a construct, each with its reason. */
function acknowledgements(construct: IConstruct): [string, string][] {
  const entries = construct.node.metadata.filter(({ type }) => type === 'aws:cdk:acknowledged-rules');
  return entries.flatMap(({ data }) => Object.entries<string>(data)).filter(([finding]) => finding.includes('AwsSolutions-'));
}
