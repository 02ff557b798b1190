import { Aws, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { Backend } from './backend.ts';
import type { Config } from './config.ts';
import type { DataStack } from './data-stack.ts';
import type { IdentityStack } from './identity-stack.ts';
import { countInLog, LOG_EVENTS, type LogEvent } from './log-events.ts';
import type { ServiceStack } from './service-stack.ts';

export interface ObservabilityStackProps extends StackProps {
  readonly config: Config;
  readonly identity: IdentityStack;
  readonly data: DataStack;
  readonly service: ServiceStack;
}

interface Signals {
  readonly refusedTokens: cloudwatch.IMetric;
  readonly keySetFailures: cloudwatch.IMetric;
  readonly tableThrottles: cloudwatch.IMetric;
  readonly signInThrottles: cloudwatch.IMetric;
}

/** Whether it works: one dashboard, and alarms on what somebody must act upon. */
export class ObservabilityStack extends Stack {
  readonly #topic: sns.Topic;
  readonly #alarms: cloudwatch.Alarm[] = [];

  constructor(scope: Construct, id: string, { config, identity, data, service, ...props }: ObservabilityStackProps) {
    super(scope, id, props);
    this.#topic = this.#alarmTopic(config);
    const { backend } = service;
    const signals: Signals = {
      refusedTokens: this.#countInLog(config, backend, LOG_EVENTS.refusedToken, Duration.minutes(5)),
      keySetFailures: this.#countInLog(config, backend, LOG_EVENTS.keySetFetchFailure, Duration.hours(1)),
      tableThrottles: tableThrottles(data),
      signInThrottles: signInThrottles(identity),
    };
    this.#alarmOnBackend(backend);
    this.#alarmOnSignals(signals);
    this.#dashboard(config, backend, signals);
    new CfnOutput(this, 'AlarmTopicArn', { value: this.#topic.topicArn });
  }

  #alarmTopic(config: Config): sns.Topic {
    const topic = new sns.Topic(this, 'Alarms', { enforceSSL: true });
    // A topic with a policy has no other: what CloudWatch needs is not in it by itself.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
    if (config.alarmEmail !== undefined) {
      topic.addSubscription(new EmailSubscription(config.alarmEmail));
    }
    return topic;
  }

  #countInLog(config: Config, { logGroup }: Backend, event: LogEvent, period: Duration): cloudwatch.Metric {
    const filter = countInLog(this, `${event.metricName}InLog`, config, logGroup, event);
    return filter.metric({ statistic: 'Sum', period });
  }

  #alarmOnBackend(backend: Backend): void {
    this.#alarm('ServerErrors', 'The backend fails requests by its own fault: read the errors in its log, by request id.', {
      metric: new cloudwatch.MathExpression({
        label: 'server errors, % of requests',
        expression: '100 * errors / MAX([requests, 1])',
        usingMetrics: { errors: backend.serverErrors, requests: backend.requests },
        period: Duration.minutes(1),
      }),
      threshold: 1,
      evaluationPeriods: 5,
      datapointsToAlarm: 3,
    });
    this.#alarm('Latency', 'One request in a hundred takes more than a second: look at DynamoDB\'s latency and at the CPU.', {
      metric: backend.latencyP99,
      threshold: backend.latencyUnit === 'seconds' ? 1 : 1000,
      evaluationPeriods: 5,
      datapointsToAlarm: 3,
    });
    // Ten minutes are looked at: what is counted in a log arrives late.
    this.#alarm('Rejected', 'Requests find no capacity: see whether it is an attack; if not, raise what was too small for them.', {
      metric: backend.rejected,
      threshold: 0,
      evaluationPeriods: 10,
      datapointsToAlarm: 3,
    });
  }

  #alarmOnSignals(signals: Signals): void {
    this.#alarm('TableThrottles', 'DynamoDB throttles: one key is too hot, or the table has met its account\'s limit.', {
      metric: signals.tableThrottles,
      threshold: 0,
      evaluationPeriods: 3,
      datapointsToAlarm: 2,
    });
    this.#alarm('SignInThrottles', 'Cognito throttles sign-ins: ask for a higher UserAuthentication quota.', {
      metric: signals.signInThrottles,
      threshold: 0,
      evaluationPeriods: 1,
    });
    this.#alarm('RefusedTokens', 'Many requests have no valid token: a client with a wrong pool or clock, or somebody who tries.', {
      metric: signals.refusedTokens,
      threshold: 500,
      evaluationPeriods: 2,
    });
    // The keys are fetched every ten minutes, and more often after a failure: an hour without one is an hour with a success.
    this.#alarm('KeySetAge', 'The pool\'s public keys could not be fetched for six hours; after 24 hours no token is accepted.', {
      metric: signals.keySetFailures,
      threshold: 0,
      evaluationPeriods: 6,
    });
  }

  #alarm(id: string, alarmDescription: string, props: Omit<cloudwatch.AlarmProps, 'alarmDescription'>): void {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      ...props,
    });
    alarm.addAlarmAction(new SnsAction(this.#topic));
    alarm.addOkAction(new SnsAction(this.#topic));
    this.#alarms.push(alarm);
  }

  #dashboard(config: Config, backend: Backend, signals: Signals): void {
    const graph = (title: string, left: cloudwatch.IMetric[]) => new cloudwatch.GraphWidget({ title, left, width: 8 });
    new cloudwatch.Dashboard(this, 'Dashboard', {
      dashboardName: `backend-${config.stage}`,
      widgets: [
        [new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms: this.#alarms, width: 24 })],
        [
          graph('Requests', [backend.requests]),
          graph('Server errors and rejected requests', [backend.serverErrors, backend.rejected]),
          graph('Latency, p99', [backend.latencyP99]),
        ],
        [
          graph('DynamoDB throttles', [signals.tableThrottles]),
          graph('Refused tokens and throttled sign-ins', [signals.refusedTokens, signals.signInThrottles]),
          graph('Failed fetches of the key set', [signals.keySetFailures]),
        ],
      ],
    });
  }
}

function tableThrottles({ table }: DataStack): cloudwatch.IMetric {
  const period = Duration.minutes(1);
  return new cloudwatch.MathExpression({
    label: 'throttled reads and writes',
    expression: 'FILL(reads, 0) + FILL(writes, 0)',
    usingMetrics: {
      reads: table.metric('ReadThrottleEvents', { statistic: 'Sum', period }),
      writes: table.metric('WriteThrottleEvents', { statistic: 'Sum', period }),
    },
    period,
  });
}

/** https://docs.aws.amazon.com/cognito/latest/developerguide/metrics-for-cognito-user-pools.html */
function signInThrottles({ userPool, webClient }: IdentityStack): cloudwatch.IMetric {
  return new cloudwatch.Metric({
    namespace: 'AWS/Cognito',
    metricName: 'SignInThrottles',
    dimensionsMap: { UserPool: userPool.userPoolId, UserPoolClient: webClient.userPoolClientId },
    statistic: 'Sum',
    period: Duration.minutes(5),
  });
}
