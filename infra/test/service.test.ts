import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { DEPLOYMENTS, templateOf, templateWith } from './synth.ts';

const fargate = templateOf('fargate', 'Service');
const lambda = templateOf('lambda', 'Service');
const release = templateOf('release', 'Service');

test('fargate: the container is arm64, cannot write to its root and is asked for its health', () => {
  fargate.hasResourceProperties('AWS::ECS::TaskDefinition', {
    RuntimePlatform: { CpuArchitecture: 'ARM64' },
    NetworkMode: 'awsvpc',
    ContainerDefinitions: [
      Match.objectLike({
        ReadonlyRootFilesystem: true,
        Privileged: Match.absent(),
        HealthCheck: Match.objectLike({ Command: ['CMD', '/usr/local/bin/backend', 'healthcheck'] }),
      }),
    ],
  });
});

test('fargate: at least two tasks run in two zones, more under load', () => {
  fargate.hasResourceProperties('AWS::ECS::Service', { DesiredCount: 2, AvailabilityZoneRebalancing: 'ENABLED' });
  fargate.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 2, MaxCapacity: 10 });
  const zones = Object.values(fargate.findResources('AWS::EC2::Subnet')).map((subnet) => subnet['Properties'].AvailabilityZone);
  assert.equal(new Set(zones.map((zone) => JSON.stringify(zone))).size, 2);
});

test('fargate: tasks have no public address, and only the load balancer reaches them', () => {
  fargate.hasResourceProperties('AWS::ECS::Service', {
    NetworkConfiguration: { AwsvpcConfiguration: Match.objectLike({ AssignPublicIp: 'DISABLED' }) },
  });
  const open = fargate.findResources('AWS::EC2::SecurityGroup', {
    Properties: { SecurityGroupIngress: Match.arrayWith([Match.objectLike({ CidrIp: '0.0.0.0/0' })]) },
  });
  assert.deepEqual(
    Object.values(open).flatMap((group) => group['Properties'].SecurityGroupIngress.map((rule: { FromPort: number }) => rule.FromPort)),
    [443],
  );
  fargate.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
    FromPort: 8000,
    ToPort: 8000,
    SourceSecurityGroupId: Match.anyValue(),
  });
});

test('fargate: the load balancer speaks TLS and nothing else', () => {
  fargate.resourceCountIs('AWS::ElasticLoadBalancingV2::Listener', 1);
  fargate.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', {
    Port: 443,
    Protocol: 'HTTPS',
    SslPolicy: Match.stringLikeRegexp('TLS13'),
  });
  fargate.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', {
    LoadBalancerAttributes: Match.arrayWith([
      { Key: 'routing.http.drop_invalid_header_fields.enabled', Value: 'true' },
      { Key: 'access_logs.s3.enabled', Value: 'true' },
    ]),
  });
});

test('fargate: a version that does not start, or answers with errors, is rolled back', () => {
  fargate.hasResourceProperties('AWS::ECS::Service', {
    DeploymentConfiguration: {
      MinimumHealthyPercent: 100,
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      Alarms: { Enable: true, Rollback: true, AlarmNames: ['backend-production-release-errors'] },
    },
  });
  fargate.hasResourceProperties('AWS::CloudWatch::Alarm', { AlarmName: 'backend-production-release-errors' });
});

for (const [compute, template] of [['fargate', fargate], ['lambda', lambda]] as const) {
  test(`${compute}: alarms on errors count the backend's own faults, not every 5xx`, () => {
    template.hasResourceProperties('AWS::Logs::MetricFilter', {
      FilterPattern: '{ $.fault IS TRUE }',
      MetricTransformations: [Match.objectLike({ MetricName: 'ServerFaults', MetricNamespace: 'Backend/production' })],
    });
    const alarms = JSON.stringify([
      template.findResources('AWS::CloudWatch::Alarm'),
      templateOf(compute, 'Observability').findResources('AWS::CloudWatch::Alarm'),
    ]);
    assert.match(alarms, /"ServerFaults"/);
    assert.doesNotMatch(alarms, /HTTPCode_Target_5XX_Count|"5xx"/);
  });

  test(`${compute}: browsers are told to use https, and the documentation can be turned off`, () => {
    const variables = (context: Record<string, string>) => JSON.stringify(templateWith({ ...DEPLOYMENTS[compute], ...context }, 'Service').toJSON());
    assert.match(variables({}), /max-age=63072000/);
    assert.match(variables({}), /"DOCS_ENABLED"(,"Value")?:"true"/);
    assert.match(variables({ docs: 'false' }), /"DOCS_ENABLED"(,"Value")?:"false"/);
  });
}

test('fargate: an outage of the table takes no task out of service', () => {
  fargate.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', { HealthCheckPath: '/health/live' });
});

test('fargate: an idle connection outlives the load balancer\'s patience', () => {
  const [loadBalancer] = Object.values(fargate.findResources('AWS::ElasticLoadBalancingV2::LoadBalancer'));
  const attributes: { Key: string; Value: string }[] = loadBalancer?.['Properties'].LoadBalancerAttributes;
  const idle = Number(attributes.find(({ Key }) => Key === 'idle_timeout.timeout_seconds')?.Value);
  const [task] = Object.values(fargate.findResources('AWS::ECS::TaskDefinition'));
  const variables: { Name: string; Value: string }[] = task?.['Properties'].ContainerDefinitions[0].Environment;
  const header = Number(variables.find(({ Name }) => Name === 'HEADER_TIMEOUT_SECONDS')?.Value);
  assert.ok(header > idle, `${header} > ${idle}`);
});

test('lambda: an arm64 function answers every route of an HTTP API', () => {
  lambda.hasResourceProperties('AWS::Lambda::Function', { Architectures: ['arm64'], PackageType: 'Image' });
  lambda.resourceCountIs('AWS::ApiGatewayV2::Route', 1);
  lambda.hasResourceProperties('AWS::ApiGatewayV2::Route', { RouteKey: '$default' });
  lambda.hasResourceProperties('AWS::ApiGatewayV2::Integration', { PayloadFormatVersion: '2.0' });
});

test('lambda: what an attack can make the account pay is bounded', () => {
  lambda.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
    DefaultRouteSettings: { ThrottlingRateLimit: 1000, ThrottlingBurstLimit: 2000 },
    AccessLogSettings: Match.objectLike({ Format: Match.not(Match.stringLikeRegexp('[Aa]uthorization|querystring')) }),
  });
});

test('lambda: what the gateway turns away is told from the backend\'s own limit, and is in the alarm', () => {
  const [stage] = Object.values(lambda.findResources('AWS::ApiGatewayV2::Stage'));
  const line = JSON.parse(stage?.['Properties'].AccessLogSettings.Format);
  assert.equal(line.status, '$context.status');
  assert.equal(line.integrationStatus, '$context.integrationStatus');
  assert.doesNotMatch(JSON.stringify(line), /context\.(path|resourcePath|routeKey)/);
  const filters = Object.values(lambda.findResources('AWS::Logs::MetricFilter'));
  const filter = filters.find(({ Properties }) => Properties.FilterPattern === '{ $.status = "429" && $.integrationStatus = "-" }');
  assert.deepEqual(filter?.['Properties'].LogGroupName, { Ref: stage?.['Properties'].AccessLogSettings.DestinationArn['Fn::GetAtt'][0] });
  const [{ MetricName, MetricNamespace }] = filter?.['Properties'].MetricTransformations;
  const metric = { MetricStat: { Metric: { MetricName, Namespace: MetricNamespace } } };
  templateOf('lambda', 'Observability').hasResourceProperties('AWS::CloudWatch::Alarm', {
    Metrics: Match.arrayWith([Match.objectLike(metric)]),
  });
});

test('lambda: with a domain, the API answers at no other address', () => {
  release.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
  release.hasResourceProperties('AWS::Route53::RecordSet', { Name: 'api.example.com.', Type: 'A' });
  release.hasResourceProperties('AWS::ApiGatewayV2::DomainName', { DomainName: 'api.example.com' });
});

test('a release runs the image that was signed, by digest', () => {
  const [handler] = Object.values(release.findResources('AWS::Lambda::Function'));
  assert.match(JSON.stringify(handler?.['Properties'].Code), /\/backend-lambda@sha256:[0-9a-f]{64}/);
});

test('logs are kept for a month', () => {
  for (const template of [fargate, lambda]) {
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 });
  }
});

test('fargate: waf=true blocks an address that sends too many requests', () => {
  const protectedService = templateWith({ ...DEPLOYMENTS.fargate, waf: 'true' }, 'Service');
  protectedService.hasResourceProperties('AWS::WAFv2::WebACL', {
    Scope: 'REGIONAL',
    Rules: [Match.objectLike({ Statement: { RateBasedStatement: Match.objectLike({ AggregateKeyType: 'IP', Limit: 10_000 }) } })],
  });
  protectedService.resourceCountIs('AWS::WAFv2::WebACLAssociation', 1);
  fargate.resourceCountIs('AWS::WAFv2::WebACL', 0);
});

test('lambda: reservedConcurrency limits how many instances run at once', () => {
  templateWith({ reservedConcurrency: '50' }, 'Service').hasResourceProperties('AWS::Lambda::Function', {
    ReservedConcurrentExecutions: 50,
  });
  lambda.hasResourceProperties('AWS::Lambda::Function', { ReservedConcurrentExecutions: Match.absent() });
});

test('a sweep runs every day, with the permissions of the backend', () => {
  for (const template of [fargate, lambda, release]) {
    template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(1 day)', State: 'ENABLED' });
  }
  fargate.hasResourceProperties('AWS::Events::Rule', {
    Targets: [Match.objectLike({ Input: JSON.stringify({ containerOverrides: [{ name: 'backend', command: ['sweep'] }] }) })],
  });
  lambda.hasResourceProperties('AWS::Lambda::Function', { ImageConfig: { Command: ['sweep'] }, Timeout: 900 });
  const policies = Object.values(lambda.findResources('AWS::IAM::Policy')).map((policy) => policy['Properties'].PolicyDocument.Statement);
  const granted = policies.filter((statements: { Sid?: string }[]) => statements.some(({ Sid }) => Sid === 'Objects'));
  assert.equal(granted.length, 2);
});

test('fargate: tracing=true runs a collector beside the backend, and only then', () => {
  const traced = templateWith({ ...DEPLOYMENTS.fargate, tracing: 'true' }, 'Service');
  const containers = (template: typeof traced) => {
    const [task] = Object.values(template.findResources('AWS::ECS::TaskDefinition'));
    return task?.['Properties'].ContainerDefinitions as { Name: string; Essential: boolean; Environment: { Name: string; Value: string }[] }[];
  };
  const [backend, collector] = containers(traced);
  assert.deepEqual([collector?.Name, collector?.Essential], ['collector', false]);
  assert.match(JSON.stringify(collector?.Environment), /endpoint: 127\.0\.0\.1:4318/);
  assert.ok(backend?.Environment.some(({ Name, Value }) => Name === 'OTEL_EXPORTER_OTLP_ENDPOINT' && Value === 'http://127.0.0.1:4318'));
  assert.match(JSON.stringify(traced.findResources('AWS::IAM::Policy')), /xray:PutTraceSegments/);
  assert.equal(containers(fargate).length, 1);
  assert.doesNotMatch(JSON.stringify(fargate.toJSON()), /OTEL_|xray/);
});

test('lambda: tracing=true turns on the tracing of Lambda', () => {
  templateWith({ tracing: 'true' }, 'Service').hasResourceProperties('AWS::Lambda::Function', { TracingConfig: { Mode: 'Active' } });
});
