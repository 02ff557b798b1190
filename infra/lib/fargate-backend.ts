import { Aws, type CfnElement, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { Backend, BackendProps } from './backend.ts';
import { addCollector, COLLECTOR_ENVIRONMENT } from './collector.ts';
import type { Config } from './config.ts';
import { backendEnvironment, logHashKey, mcpBrokerKey } from './environment.ts';
import { imageAsset, imageRepository, REPOSITORY_ROOT } from './image.ts';
import { countInLog, LOG_EVENTS } from './log-events.ts';
import { grantBackendPermissions } from './permissions.ts';
import { SWEEP_COMMAND, SWEEP_SCHEDULE } from './sweep.ts';
import { limitRequestsPerAddress } from './web-acl.ts';

const PORT = 8000;
const LOAD_BALANCER_IDLE_TIMEOUT = Duration.seconds(60);
const MIN_TASKS = 2;
const MAX_TASKS = 10;

/** The backend as containers in two zones, behind a load balancer that ends TLS. */
export class FargateBackend extends Construct implements Backend {
  readonly publicUrl: string;
  readonly logGroup: logs.LogGroup;
  readonly requests: cloudwatch.IMetric;
  readonly serverErrors: cloudwatch.IMetric;
  readonly latencyP99: cloudwatch.IMetric;
  readonly latencyUnit = 'seconds';
  readonly rejected: cloudwatch.IMetric;

  constructor(scope: Construct, id: string, props: BackendProps) {
    super(scope, id);
    const { config } = props;
    if (config.domain === undefined) {
      throw new Error('compute=fargate needs domainName and hostedZoneId');
    }
    this.publicUrl = `https://${config.domain.name}`;
    this.logGroup = new logs.LogGroup(this, 'Logs', {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const vpc = this.#network(config);
    const loadBalancer = this.#loadBalancer(vpc, config);
    if (config.waf) {
      limitRequestsPerAddress(this, loadBalancer);
    }
    const metrics = loadBalancer.metrics;
    const minute = { period: Duration.minutes(1) };
    this.requests = metrics.requestCount({ ...minute, statistic: 'Sum' });
    const faults = countInLog(this, 'ServerFaults', config, this.logGroup, LOG_EVENTS.serverFault);
    this.serverErrors = faults.metric({ ...minute, statistic: 'Sum' });
    this.rejected = metrics.httpCodeElb(elb.HttpCodeElb.ELB_5XX_COUNT, { ...minute, statistic: 'Sum' });
    const service = this.#service(vpc, props);
    const targets = this.#listen(loadBalancer, service, config.domain);
    this.latencyP99 = targets.metrics.targetResponseTime({ ...minute, statistic: 'p99' });
    this.#rollBackOnErrors(service, config);
  }

  #network(config: Config): ec2.Vpc {
    return new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: config.natGateways,
      subnetConfiguration: [
        { name: 'Public', subnetType: ec2.SubnetType.PUBLIC, mapPublicIpOnLaunch: false },
        { name: 'Private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      ],
      // Table and bucket are reached without a NAT gateway: free, and they stay reachable when it is not.
      gatewayEndpoints: {
        DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB },
        S3: { service: ec2.GatewayVpcEndpointAwsService.S3 },
      },
      flowLogs: {
        Rejected: {
          trafficType: ec2.FlowLogTrafficType.REJECT,
          destination: ec2.FlowLogDestination.toCloudWatchLogs(
            new logs.LogGroup(this, 'FlowLogs', {
              retention: logs.RetentionDays.ONE_MONTH,
              removalPolicy: RemovalPolicy.DESTROY,
            }),
          ),
        },
      },
    });
  }

  #loadBalancer(vpc: ec2.Vpc, config: Config): elb.ApplicationLoadBalancer {
    const loadBalancer = new elb.ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc,
      internetFacing: true,
      dropInvalidHeaderFields: true,
      idleTimeout: LOAD_BALANCER_IDLE_TIMEOUT,
      deletionProtection: config.retainData,
    });
    this.#logAccess(loadBalancer);
    Validations.of(loadBalancer).acknowledge({ id: 'AwsSolutions-EC23', reason: 'The API is public; its port 443 is open to everybody.' });
    return loadBalancer;
  }

  /**
   * Access logs by the service principal that every region knows; the construct's own method needs the region when synthesizing.
   * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
   */
  #logAccess(loadBalancer: elb.ApplicationLoadBalancer): void {
    const bucket = new s3.Bucket(this, 'AccessLogs', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      lifecycleRules: [{ expiration: Duration.days(30) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const granted = bucket.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal('logdelivery.elasticloadbalancing.amazonaws.com')],
        actions: ['s3:PutObject'],
        resources: [bucket.arnForObjects(`AWSLogs/${Aws.ACCOUNT_ID}/*`)],
      }),
    );
    loadBalancer.setAttribute('access_logs.s3.enabled', 'true');
    loadBalancer.setAttribute('access_logs.s3.bucket', bucket.bucketName);
    if (granted.policyDependable) {
      loadBalancer.node.addDependency(granted.policyDependable);
    }
    Validations.of(bucket).acknowledge({ id: 'AwsSolutions-S1', reason: 'This bucket holds access logs; logging its own would not end.' });
  }

  #service(vpc: ec2.Vpc, props: BackendProps): ecs.FargateService {
    const cluster = new ecs.Cluster(this, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
    const service = new ecs.FargateService(this, 'Service', {
      cluster,
      taskDefinition: this.#task(props),
      desiredCount: MIN_TASKS,
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { rollback: true },
      healthCheckGracePeriod: Duration.seconds(30),
      availabilityZoneRebalancing: ecs.AvailabilityZoneRebalancing.ENABLED,
    });
    const scaling = service.autoScaleTaskCount({ minCapacity: MIN_TASKS, maxCapacity: MAX_TASKS });
    scaling.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: 60, scaleInCooldown: Duration.minutes(5) });
    this.#sweep(cluster, service);
    return service;
  }

  /** The service's own task with another command. */
  #sweep(cluster: ecs.Cluster, service: ecs.FargateService): void {
    const task = new targets.EcsTask({
      cluster,
      taskDefinition: service.taskDefinition,
      subnetSelection: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: service.connections.securityGroups,
      containerOverrides: [{ containerName: 'backend', command: SWEEP_COMMAND }],
    });
    new events.Rule(this, 'SweepSchedule', { schedule: SWEEP_SCHEDULE, targets: [task] });
    const clusterId = Stack.of(this).getLogicalId(cluster.node.defaultChild as CfnElement);
    Validations.of(service.taskDefinition).acknowledge({
      id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:*:task/<${clusterId}>/*]`,
      reason: 'The schedule tags the tasks that it starts, whose names are not known before.',
    });
  }

  #task({ config, identity, data }: BackendProps): ecs.FargateTaskDefinition {
    const task = new ecs.FargateTaskDefinition(this, 'Task', {
      cpu: 256,
      memoryLimitMiB: 512,
      runtimePlatform: {
        cpuArchitecture: config.architecture === 'arm64' ? ecs.CpuArchitecture.ARM64 : ecs.CpuArchitecture.X86_64,
        operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
      },
    });
    // A log that cannot be delivered must not hold up requests.
    const logging = ecs.LogDrivers.awsLogs({ logGroup: this.logGroup, streamPrefix: 'backend', mode: ecs.AwsLogDriverMode.NON_BLOCKING });
    task.addContainer('backend', {
      image: this.#image(config),
      portMappings: [{ containerPort: PORT }],
      readonlyRootFilesystem: true,
      environment: {
        ...backendEnvironment(config, identity, data, this.publicUrl),
        AWS_REGION: Aws.REGION,
        BIND_ADDRESS: `0.0.0.0:${PORT}`,
        // An idle connection must outlive the load balancer's patience, or a request races its closing and gets a 502.
        HEADER_TIMEOUT_SECONDS: String(LOAD_BALANCER_IDLE_TIMEOUT.toSeconds() + 15),
        // The load balancer adds the client's address to X-Forwarded-For.
        TRUSTED_PROXIES: '1',
        ...(config.tracing ? COLLECTOR_ENVIRONMENT : {}),
      },
      secrets: {
        LOG_HASH_KEY: ecs.Secret.fromSecretsManager(logHashKey(this)),
        ...(config.mcp ? { MCP_BROKER_KEY: ecs.Secret.fromSecretsManager(mcpBrokerKey(this)) } : {}),
      },
      healthCheck: {
        command: ['CMD', '/usr/local/bin/backend', 'healthcheck'],
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        startPeriod: Duration.seconds(15),
        retries: 3,
      },
      logging,
      stopTimeout: Duration.seconds(30),
    });
    grantBackendPermissions(task.taskRole, data);
    if (config.tracing) {
      addCollector(task, logging);
    }
    Validations.of(task).acknowledge(
      { id: 'AwsSolutions-ECS2', reason: 'The variables are names and URLs; the one secret, the key of the log\'s hashes, is not among them.' },
      { id: 'AwsSolutions-IAM5[Resource::*]', reason: 'ecr:GetAuthorizationToken knows no resource; pulling is limited to the image\'s repository.' },
    );
    return task;
  }

  #image(config: Config): ecs.ContainerImage {
    if (config.imageDigest !== undefined) {
      return ecs.ContainerImage.fromEcrRepository(imageRepository(this, 'backend'), config.imageDigest);
    }
    return ecs.ContainerImage.fromAsset(REPOSITORY_ROOT, imageAsset(config, 'backend'));
  }

  #listen(
    loadBalancer: elb.ApplicationLoadBalancer,
    service: ecs.FargateService,
    domain: NonNullable<Config['domain']>,
  ): elb.ApplicationTargetGroup {
    const zone = route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId: domain.hostedZoneId,
      zoneName: domain.name,
    });
    const certificate = new acm.Certificate(this, 'Certificate', {
      domainName: domain.name,
      validation: acm.CertificateValidation.fromDns(zone),
    });
    // There is no listener on port 80: a token sent in clear must reach nobody who would answer with a redirect.
    const listener = loadBalancer.addListener('Https', { port: 443, certificates: [certificate] });
    const targets = listener.addTargets('Backend', {
      port: PORT,
      protocol: elb.ApplicationProtocol.HTTP,
      targets: [service],
      deregistrationDelay: Duration.seconds(15),
      // Liveness: were it readiness, an outage of DynamoDB would have every task replaced again and again.
      healthCheck: { path: '/health/live', interval: Duration.seconds(10), healthyThresholdCount: 2, unhealthyThresholdCount: 3 },
    });
    new route53.ARecord(this, 'Alias', {
      zone,
      recordName: `${domain.name}.`,
      target: route53.RecordTarget.fromAlias(new LoadBalancerTarget(loadBalancer)),
    });
    return targets;
  }

  /** A new version that answers with errors is taken back, though its tasks are healthy. */
  #rollBackOnErrors(service: ecs.FargateService, config: Config): void {
    // A name of its own: the service needs the alarm's before the alarm, which needs the load balancer, is there.
    const alarmName = `backend-${config.stage}-release-errors`;
    new cloudwatch.Alarm(this, 'ReleaseErrors', {
      alarmName,
      alarmDescription: 'The backend fails requests by its own fault; a deployment under way is rolled back.',
      metric: this.serverErrors,
      threshold: 10,
      evaluationPeriods: 2,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    service.enableDeploymentAlarms([alarmName], { behavior: ecs.AlarmBehavior.ROLLBACK_ON_ALARM });
  }
}
