import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import type { DataStack } from './data-stack.ts';
import { FargateBackend } from './fargate-backend.ts';
import type { IdentityStack } from './identity-stack.ts';
import { LambdaBackend } from './lambda-backend.ts';

/** One way to run the backend. */
export interface Backend {
  readonly publicUrl: string;
  readonly logGroup: logs.ILogGroup;
  readonly requests: cloudwatch.IMetric;
  readonly serverErrors: cloudwatch.IMetric;
  readonly latencyP99: cloudwatch.IMetric;
  readonly latencyUnit: 'seconds' | 'milliseconds';
  /** Requests turned away because there was no capacity for them. */
  readonly rejected: cloudwatch.IMetric;
}

export interface BackendProps {
  readonly config: Config;
  readonly identity: IdentityStack;
  readonly data: DataStack;
}

/** The backend and what carries requests to it. */
export class ServiceStack extends Stack {
  readonly backend: Backend;

  constructor(scope: Construct, id: string, { config, identity, data, ...props }: BackendProps & StackProps) {
    super(scope, id, props);
    const Compute = config.compute === 'fargate' ? FargateBackend : LambdaBackend;
    this.backend = new Compute(this, 'Backend', { config, identity, data });
    new CfnOutput(this, 'PublicUrl', { value: this.backend.publicUrl });
  }
}
