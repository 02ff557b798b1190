import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Validations } from 'aws-cdk-lib';

/** https://gallery.ecr.aws/aws-observability/aws-otel-collector */
const IMAGE = 'public.ecr.aws/aws-observability/aws-otel-collector:v0.47.0';

/** Receives OTLP from the container beside it, on the loopback address only, and sends the spans to X-Ray. */
const CONFIGURATION = `
receivers:
  otlp:
    protocols:
      http: { endpoint: 127.0.0.1:4318 }
processors:
  memory_limiter: { check_interval: 1s, limit_mib: 80 }
  batch: {}
exporters:
  awsxray: {}
service:
  pipelines:
    traces: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [awsxray] }
`;

/** What the backend is told about the collector. One request in ten is traced, whatever the caller's `traceparent` says. */
export const COLLECTOR_ENVIRONMENT = {
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
  OTEL_METRICS_EXPORTER: 'none', // CloudWatch has the load balancer's and those of the log.
  OTEL_TRACES_SAMPLER: 'traceidratio',
  OTEL_TRACES_SAMPLER_ARG: '0.1',
};

/** Adds the AWS Distro for OpenTelemetry to a task. The task goes on if it fails. */
export function addCollector(task: ecs.FargateTaskDefinition, logging: ecs.LogDriver): void {
  task.addContainer('collector', {
    image: ecs.ContainerImage.fromRegistry(IMAGE),
    essential: false,
    cpu: 32,
    memoryLimitMiB: 128,
    readonlyRootFilesystem: true,
    environment: { AOT_CONFIG_CONTENT: CONFIGURATION },
    logging,
  });
  task.taskRole.addToPrincipalPolicy(
    new iam.PolicyStatement({ sid: 'Traces', actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], resources: ['*'] }),
  );
  Validations.of(task.taskRole).acknowledge({ id: 'AwsSolutions-IAM5[Resource::*]', reason: 'X-Ray knows no resources for what a program sends.' });
}
