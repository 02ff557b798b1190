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
  keySetFetchFailure: {
    metricName: 'KeySetFetchFailures',
    pattern: '{ $.message = "no key set" }',
  },
} as const;

/** An event that is counted. */
export type LogEvent = (typeof LOG_EVENTS)[keyof typeof LOG_EVENTS];
