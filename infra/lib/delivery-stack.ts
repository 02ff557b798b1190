import { ArnFormat, Aws, CfnOutput, DefaultStackSynthesizer, Duration, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { IMAGE_NAMES } from './image.ts';

const GITHUB = 'token.actions.githubusercontent.com';

export interface DeliveryStackProps extends StackProps {
  readonly githubRepository: string;
  readonly githubOidcProvider: Config['githubOidcProvider'];
  readonly stage: string;
}

/** What a release needs in an account: the images' repositories, and a role that only the stage's GitHub environment can take. */
export class DeliveryStack extends Stack {
  constructor(scope: Construct, id: string, { githubRepository, githubOidcProvider, stage, ...props }: DeliveryStackProps) {
    super(scope, id, props);
    const role = new iam.Role(this, 'Role', {
      description: `Deploys ${githubRepository} to ${stage}.`,
      maxSessionDuration: Duration.hours(1),
      assumedBy: new iam.WebIdentityPrincipal(this.#oidcProviderArn(githubOidcProvider), {
        StringEquals: {
          [`${GITHUB}:aud`]: 'sts.amazonaws.com',
          [`${GITHUB}:sub`]: `repo:${githubRepository}:environment:${stage}`,
        },
      }),
    });
    this.#mayPushImages(role);
    this.#mayDeploy(role);
    this.#mayTest(role, stage);
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'ecr:GetAuthorizationToken knows no resource; pushing and pulling are limited to the two repositories.',
    });
    new CfnOutput(this, 'DeployRoleArn', { value: role.roleArn });
  }

  #oidcProviderArn(provider: Config['githubOidcProvider']): string {
    if (provider === 'existing') {
      return this.formatArn({ service: 'iam', region: '', resource: 'oidc-provider', resourceName: GITHUB });
    }
    const made = new iam.OidcProviderNative(this, 'GitHub', {
      url: `https://${GITHUB}`,
      clientIds: ['sts.amazonaws.com'],
      removalPolicy: RemovalPolicy.RETAIN, // Other roles of the account may trust it by then.
    });
    return made.oidcProviderArn;
  }

  #mayPushImages(role: iam.Role): void {
    for (const name of IMAGE_NAMES) {
      const repository = new ecr.Repository(this, name, {
        repositoryName: name,
        imageTagMutability: ecr.TagMutability.IMMUTABLE,
        imageScanOnPush: true,
        // Counted by tag: an image for several platforms has manifests without one.
        lifecycleRules: [{ description: 'Keep what may be rolled back to.', tagStatus: ecr.TagStatus.TAGGED, tagPatternList: ['v*'], maxImageCount: 50 }],
        removalPolicy: RemovalPolicy.RETAIN,
      });
      repository.grantPullPush(role);
      if (name === 'backend-lambda') {
        repository.addToResourcePolicy(this.#mayBePulledByLambda());
      }
    }
  }

  /** https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions */
  #mayBePulledByLambda(): iam.PolicyStatement {
    return new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal('lambda.amazonaws.com')],
      actions: ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      conditions: { StringLike: { 'aws:SourceArn': this.formatArn({ service: 'lambda', resource: 'function', resourceName: '*', arnFormat: ArnFormat.COLON_RESOURCE_NAME }) } },
    });
  }

  /** The bootstrap roles do the work, with the permissions they were bootstrapped with. */
  #mayDeploy(role: iam.Role): void {
    const bootstrapRoles = ['deploy', 'file-publishing', 'image-publishing', 'lookup'].map((purpose) =>
      this.formatArn({ service: 'iam', region: '', resource: 'role', resourceName: this.#bootstrapRole(purpose) }),
    );
    role.addToPolicy(new iam.PolicyStatement({ actions: ['sts:AssumeRole'], resources: bootstrapRoles }));
  }

  /**
   * The smoke test finds the stage by its stacks' outputs and signs in as its machine client. The pool is known by its tag: a reference to
   * its stack would be an export that deployments without this stack take away.
   */
  #mayTest(role: iam.Role, stage: string): void {
    const stacks = ['identity', 'service'].map((part) =>
      this.formatArn({ service: 'cloudformation', resource: 'stack', resourceName: `backend-${stage}-${part}/*` }),
    );
    role.addToPolicy(new iam.PolicyStatement({ actions: ['cloudformation:DescribeStacks'], resources: stacks }));
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['cognito-idp:DescribeUserPoolClient'],
        resources: [this.formatArn({ service: 'cognito-idp', resource: 'userpool', resourceName: '*' })],
        conditions: { StringEquals: { 'aws:ResourceTag/stage': stage } },
      }),
    );
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:cognito-idp:<AWS::Region>:<AWS::AccountId>:userpool/*]',
      reason: 'The condition limits it to the pool with the tag of this stage.',
    });
    for (const part of ['identity', 'service']) {
      Validations.of(role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:stack/backend-${stage}-${part}/*]`,
        reason: 'A stack\'s ARN ends with an id that is new each time the stack is made.',
      });
    }
  }

  #bootstrapRole(purpose: string): string {
    return `cdk-${DefaultStackSynthesizer.DEFAULT_QUALIFIER}-${purpose}-role-${Aws.ACCOUNT_ID}-${Aws.REGION}`;
  }
}
