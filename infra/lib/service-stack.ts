import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Backend, BackendProps } from './backend.ts';
import { FargateBackend } from './fargate-backend.ts';
import { LambdaBackend } from './lambda-backend.ts';

/** The backend, and the load balancer or gateway in front of it. */
export class ServiceStack extends Stack {
  readonly backend: Backend;

  constructor(scope: Construct, id: string, { config, identity, data, ...props }: BackendProps & StackProps) {
    super(scope, id, props);
    const Compute = config.compute === 'fargate' ? FargateBackend : LambdaBackend;
    this.backend = new Compute(this, 'Backend', { config, identity, data });
    new CfnOutput(this, 'PublicUrl', { value: this.backend.publicUrl });
  }
}
