import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { DEPLOYMENTS, templateOf } from './synth.ts';

const SIGNALS = ['KeySetAge', 'Latency', 'RefusedTokens', 'Rejected', 'ServerErrors', 'SignInThrottles', 'TableThrottles'];

for (const deployment of Object.keys(DEPLOYMENTS) as (keyof typeof DEPLOYMENTS)[]) {
  const template = templateOf(deployment, 'Observability');

  test(`${deployment}: there is an alarm on each signal, and somebody hears it`, () => {
    const alarms = template.findResources('AWS::CloudWatch::Alarm');
    const names = Object.keys(alarms).map((name) => name.replace(/[0-9A-F]{8}$/, ''));
    assert.deepEqual(names.sort(), SIGNALS);
    for (const [name, { Properties: alarm }] of Object.entries(alarms)) {
      assert.equal(alarm.AlarmActions.length, 1, name);
      assert.equal(alarm.TreatMissingData, 'notBreaching', name);
      assert.ok(alarm.AlarmDescription.length > 40, `${name} says what to do`);
    }
  });

  test(`${deployment}: a second is a second in the unit of the latency`, () => {
    const threshold = deployment === 'fargate' ? 1 : 1000;
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { ExtendedStatistic: 'p99', Threshold: threshold });
  });
}

test('alarms may be published, by this account alone', () => {
  templateOf('release', 'Observability').hasResourceProperties('AWS::SNS::TopicPolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Effect: 'Allow',
          Action: 'sns:Publish',
          Principal: { Service: 'cloudwatch.amazonaws.com' },
          Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
        }),
      ]),
    },
  });
});

test('alarms reach the address given', () => {
  templateOf('release', 'Observability').hasResourceProperties('AWS::SNS::Subscription', {
    Protocol: 'email',
    Endpoint: 'ops@example.com',
  });
});

test('the dashboard shows every alarm', () => {
  const [dashboard] = Object.values(templateOf('fargate', 'Observability').findResources('AWS::CloudWatch::Dashboard'));
  const body = JSON.stringify(dashboard?.['Properties'].DashboardBody);
  for (const signal of SIGNALS) {
    assert.match(body, new RegExp(`"${signal}[0-9A-F]{8}"`));
  }
});
