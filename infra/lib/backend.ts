import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Config } from './config.ts';
import type { DataStack } from './data-stack.ts';
import type { IdentityStack } from './identity-stack.ts';

/** One way to run the backend. */
export interface Backend {
  readonly publicUrl: string;
  readonly logGroup: logs.ILogGroup;
  readonly requests: cloudwatch.IMetric;
  /** Requests that failed by the backend's fault. A load balancer's count of 5xx has those that callers cause, too. */
  readonly serverErrors: cloudwatch.IMetric;
  readonly latencyP99: cloudwatch.IMetric;
  readonly latencyUnit: 'seconds' | 'milliseconds';
  /** Requests that were rejected because no capacity was left. */
  readonly rejected: cloudwatch.IMetric;
}

export interface BackendProps {
  readonly config: Config;
  readonly identity: IdentityStack;
  readonly data: DataStack;
}
