import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';

/**
 * What is read from the backend's log (one JSON object a line), in CloudWatch's filter syntax; test/deployment.test.ts
 * tries each on a line that the backend wrote.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
 */
export const LOG_EVENTS = {
  refusedToken: {
    metricName: 'RefusedTokens',
    pattern: '{ $.status = 401 }',
  },
  /** A 5xx by the server's fault, unlike a 503 that callers caused: too many at once, or a key that nobody knows. */
  serverFault: {
    metricName: 'ServerFaults',
    pattern: '{ $.fault IS TRUE }',
    defaultValue: 0, // Else the metric would not exist before the first.
  },
  keySetFetchFailure: {
    metricName: 'KeySetFetchFailures',
    pattern: '{ $.message = "the key set cannot be fetched" }',
  },
} as const;

/** An event that is counted. */
export interface LogEvent {
  readonly metricName: string;
  readonly pattern: string;
  /** What the metric is in a minute in which the log has other lines only; without it there is no value then. */
  readonly defaultValue?: number;
}

/** Makes a metric of the stage of how often an event is in a log. */
export function countInLog(scope: Construct, id: string, config: Config, logGroup: logs.ILogGroup, event: LogEvent): logs.MetricFilter {
  const { pattern, ...metric } = event;
  return new logs.MetricFilter(scope, id, {
    logGroup,
    filterPattern: logs.FilterPattern.literal(pattern),
    metricNamespace: `Backend/${config.stage}`,
    ...metric,
  });
}
