import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duration, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import { BucketDeployment, CacheControl, Source } from 'aws-cdk-lib/aws-s3-deployment';
import type { Construct } from 'constructs';
import { deployedPage } from '../../examples/web/hosting.ts';
import type { DataStack } from './data-stack.ts';
import type { IdentityStack } from './identity-stack.ts';
import { exportName } from './permissions.ts';
import type { ServiceStack } from './service-stack.ts';
import type { WebStack } from './web-stack.ts';

export interface WebContentStackProps extends StackProps {
  /** The built page. */
  readonly folder: string;
  readonly web: WebStack;
  readonly identity: IdentityStack;
  readonly data: DataStack;
  readonly service: ServiceStack;
}

/** The files of `examples/web`, told where this stage's API, user pool and bucket are. */
export class WebContentStack extends Stack {
  constructor(scope: Construct, id: string, { folder, web, identity, data, service, ...props }: WebContentStackProps) {
    super(scope, id, props);
    const index = join(folder, 'index.html');
    if (!existsSync(index)) {
      throw new Error(`web=true needs ${index}: run \`npm ci && npm run build\` in examples/web`);
    }
    const page = deployedPage(readFileSync(index, 'utf8'), {
      apiUrl: service.backend.publicUrl,
      clientId: identity.webClient.userPoolClientId,
      connect: [
        service.backend.publicUrl,
        `${identity.userPool.userPoolProviderUrl}/`,
        identity.domain.baseUrl(),
        `https://${data.bucket.bucketRegionalDomainName}`,
      ],
    });
    // The names of assets contain their hash. Those of earlier versions stay for pages that are open.
    const assets = new BucketDeployment(this, 'Assets', {
      sources: [Source.asset(join(folder, 'assets'))],
      destinationBucket: web.bucket,
      destinationKeyPrefix: 'assets',
      cacheControl: [CacheControl.setPublic(), CacheControl.maxAge(Duration.days(365)), CacheControl.immutable()],
      prune: false,
    });
    const files = new BucketDeployment(this, 'Page', {
      sources: [Source.asset(folder, { exclude: ['assets', 'index.html'] }), Source.data('index.html', page)],
      destinationBucket: web.bucket,
      cacheControl: [CacheControl.noCache()],
      prune: false,
    });
    files.node.addDependency(assets);
    this.#acknowledgeFindings(web);
  }

  /** All are about the function that copies the files, which the CDK writes. */
  #acknowledgeFindings(web: WebStack): void {
    const actions = ['GetBucket', 'GetObject', 'List', 'Abort', 'DeleteObject'].map((action) => `Action::s3:${action}*`);
    const assets = 'Resource::arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-<AWS::AccountId>-<AWS::Region>/*';
    const objects = `Resource::${exportName(web, web.bucket.bucketArn)}/*`;
    for (const wildcard of [...actions, assets, objects]) {
      Validations.of(this).acknowledge({
        id: `AwsSolutions-IAM5[${wildcard}]`,
        reason: 'The function reads the CDK\'s assets, and writes the objects of one bucket, which holds a public page.',
      });
    }
    Validations.of(this).acknowledge(
      {
        id: 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
        reason: 'The managed policy lets the function write its log, and nothing else.',
      },
      { id: 'AwsSolutions-L1', reason: 'The CDK chooses the runtime of its own function, which runs only during a deployment.' },
    );
  }
}
