import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import * as apigateway from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';
import type { Backend, BackendProps } from './backend.ts';
import type { Config } from './config.ts';
import { backendEnvironment, logHashKey, mcpBrokerKey } from './environment.ts';
import { imageAsset, imageRepository, REPOSITORY_ROOT } from './image.ts';
import { countInLog, LOG_EVENTS, type LogEvent } from './log-events.ts';
import { grantBackendPermissions } from './permissions.ts';
import { SWEEP_COMMAND, SWEEP_SCHEDULE } from './sweep.ts';

/** Requests a second over all callers, and how many may come at once: what an attack can make this account pay. */
const THROTTLE = { rateLimit: 1000, burstLimit: 2000 };

/**
 * A line of the gateway's log. Paths are not in it: an administrator's name users by their `sub`.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
 */
const ACCESS_LOG = {
  requestId: '$context.requestId',
  time: '$context.requestTime',
  ip: '$context.identity.sourceIp',
  method: '$context.httpMethod',
  status: '$context.status',
  integrationStatus: '$context.integrationStatus',
  latency: '$context.responseLatency',
  error: '$context.error.message',
  integrationError: '$context.integrationErrorMessage',
};

/**
 * A 429 for which no function was called, unlike the 429 of the backend's own limit for a caller. A lower bound: in a flood of them the
 * gateway may log only some.
 */
const TURNED_AWAY: LogEvent = {
  metricName: 'TurnedAway',
  pattern: '{ $.status = "429" && $.integrationStatus = "-" }',
  defaultValue: 0, // Else the metric would not exist before the first.
};

/** The backend as a function behind an HTTP API, which costs nothing at rest. */
export class LambdaBackend extends Construct implements Backend {
  readonly publicUrl: string;
  readonly logGroup: logs.LogGroup;
  readonly requests: cloudwatch.IMetric;
  readonly serverErrors: cloudwatch.IMetric;
  readonly latencyP99: cloudwatch.IMetric;
  readonly latencyUnit = 'milliseconds';
  readonly rejected: cloudwatch.IMetric;
  #repository: ecr.IRepository | undefined;

  constructor(scope: Construct, id: string, props: BackendProps) {
    super(scope, id);
    const { config } = props;
    this.logGroup = this.#logs('Logs');
    const api = new apigateway.HttpApi(this, 'Api', {
      createDefaultStage: false,
      disableExecuteApiEndpoint: config.domain !== undefined,
    });
    this.publicUrl = config.domain ? `https://${config.domain.name}` : api.apiEndpoint;
    const handler = this.#function(props);
    this.#route(api, handler);
    this.#sweep(props);
    const accessLogs = this.#logs('AccessLogs');
    const stage = this.#stage(api, accessLogs);
    if (config.domain !== undefined) {
      this.#alias(api, stage, config.domain);
    }
    const minute = { period: Duration.minutes(1) };
    this.requests = stage.metricCount({ ...minute, statistic: 'Sum' });
    this.serverErrors = new cloudwatch.MathExpression({
      label: 'requests that failed by the backend\'s fault, or by its end',
      expression: 'FILL(faults, 0) + FILL(crashes, 0)',
      usingMetrics: {
        faults: countInLog(this, 'ServerFaults', config, this.logGroup, LOG_EVENTS.serverFault).metric({ ...minute, statistic: 'Sum' }),
        crashes: handler.metricErrors({ ...minute, statistic: 'Sum' }),
      },
      ...minute,
    });
    this.latencyP99 = stage.metricLatency({ ...minute, statistic: 'p99' });
    this.rejected = new cloudwatch.MathExpression({
      label: 'requests turned away by gateway or function',
      expression: 'FILL(gateway, 0) + FILL(function, 0)',
      usingMetrics: {
        gateway: countInLog(this, 'TurnedAway', config, accessLogs, TURNED_AWAY).metric({ ...minute, statistic: 'Sum' }),
        function: handler.metricThrottles({ ...minute, statistic: 'Sum' }),
      },
      ...minute,
    });
  }

  #logs(id: string): logs.LogGroup {
    return new logs.LogGroup(this, id, { retention: logs.RetentionDays.ONE_MONTH, removalPolicy: RemovalPolicy.DESTROY });
  }

  #function({ config, identity, data }: BackendProps): lambda.DockerImageFunction {
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    this.logGroup.grantWrite(role);
    grantBackendPermissions(role, data);
    if (config.tracing) {
      Validations.of(role).acknowledge({ id: 'AwsSolutions-IAM5[Resource::*]', reason: 'X-Ray knows no resources for what Lambda sends.' });
    }
    return new lambda.DockerImageFunction(this, 'Function', {
      code: this.#image(config),
      architecture: config.architecture === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      role,
      memorySize: 512,
      timeout: Duration.seconds(15),
      ...(config.reservedConcurrency === undefined ? {} : { reservedConcurrentExecutions: config.reservedConcurrency }),
      logGroup: this.logGroup,
      // Spans of the program would need a thread that goes on between invocations; these come from Lambda itself.
      tracing: config.tracing ? lambda.Tracing.ACTIVE : lambda.Tracing.DISABLED,
      environment: {
        ...backendEnvironment(config, identity, data, this.publicUrl),
        // A function takes no secret by reference: its configuration, which is encrypted, holds the value.
        LOG_HASH_KEY: logHashKey(this).secretValue.unsafeUnwrap(),
        ...(config.mcp ? { MCP_BROKER_KEY: mcpBrokerKey(this).secretValue.unsafeUnwrap() } : {}),
      },
    });
  }

  /** A function of its own, because a sweep may take longer than a request; it goes on the next day if 15 minutes are not enough. */
  #sweep({ config, identity, data }: BackendProps): void {
    const role = new iam.Role(this, 'SweepRole', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    this.logGroup.grantWrite(role);
    grantBackendPermissions(role, data);
    const sweep = new lambda.DockerImageFunction(this, 'Sweep', {
      code: this.#image(config, SWEEP_COMMAND),
      architecture: config.architecture === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      role,
      memorySize: 512,
      timeout: Duration.minutes(15),
      logGroup: this.logGroup,
      environment: backendEnvironment(config, identity, data, this.publicUrl),
    });
    new events.Rule(this, 'SweepSchedule', { schedule: SWEEP_SCHEDULE, targets: [new targets.LambdaFunction(sweep)] });
  }

  #image(config: Config, cmd?: string[]): lambda.DockerImageCode {
    const command = cmd === undefined ? {} : { cmd };
    if (config.imageDigest !== undefined) {
      const repository = this.#repository ??= imageRepository(this, 'backend-lambda');
      return lambda.DockerImageCode.fromEcr(repository, { tagOrDigest: config.imageDigest, ...command });
    }
    return lambda.DockerImageCode.fromImageAsset(REPOSITORY_ROOT, { ...imageAsset(config, 'backend-lambda'), ...command });
  }

  #route(api: apigateway.HttpApi, handler: lambda.IFunction): void {
    const routes = new apigateway.HttpRoute(this, 'Default', {
      httpApi: api,
      routeKey: apigateway.HttpRouteKey.DEFAULT,
      integration: new HttpLambdaIntegration('Handler', handler),
    });
    Validations.of(routes).acknowledge({
      id: 'AwsSolutions-APIG4',
      reason: 'The backend authorizes each route itself, by scope and group, and answers with the problem documents and challenges of its contract.',
    });
  }

  #stage(api: apigateway.HttpApi, accessLogs: logs.LogGroup): apigateway.HttpStage {
    return new apigateway.HttpStage(this, 'Stage', {
      httpApi: api,
      stageName: '$default',
      autoDeploy: true,
      throttle: THROTTLE,
      accessLogSettings: {
        destination: new apigateway.LogGroupLogDestination(accessLogs),
        format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      },
    });
  }

  #alias(api: apigateway.HttpApi, stage: apigateway.HttpStage, domain: NonNullable<Config['domain']>): void {
    const zone = route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId: domain.hostedZoneId,
      zoneName: domain.name,
    });
    const domainName = new apigateway.DomainName(this, 'DomainName', {
      domainName: domain.name,
      certificate: new acm.Certificate(this, 'Certificate', {
        domainName: domain.name,
        validation: acm.CertificateValidation.fromDns(zone),
      }),
    });
    new apigateway.ApiMapping(this, 'Mapping', { api, domainName, stage });
    new route53.ARecord(this, 'Alias', {
      zone,
      recordName: `${domain.name}.`,
      target: route53.RecordTarget.fromAlias(
        new ApiGatewayv2DomainProperties(domainName.regionalDomainName, domainName.regionalHostedZoneId),
      ),
    });
  }
}
