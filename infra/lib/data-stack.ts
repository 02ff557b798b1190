import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';

/** How long a deleted or replaced attachment can be restored. */
const DELETED_OBJECT_RETENTION = Duration.days(30);

export interface DataStackProps extends StackProps {
  readonly config: Config;
}

/** What is kept: one table for all records, one bucket for the attachments' bytes. */
export class DataStack extends Stack {
  readonly table: dynamodb.Table;
  readonly bucket: s3.Bucket;

  constructor(scope: Construct, id: string, { config, ...props }: DataStackProps) {
    super(scope, id, props);
    const removalPolicy = config.retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    this.table = new dynamodb.Table(this, 'Table', {
      partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: 'expires_at',
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: config.retainData,
      removalPolicy,
    });
    this.bucket = this.#bucket(config, removalPolicy);
    new CfnOutput(this, 'TableName', { value: this.table.tableName });
    new CfnOutput(this, 'BucketName', { value: this.bucket.bucketName });
  }

  #bucket(config: Config, removalPolicy: RemovalPolicy): s3.Bucket {
    const bucket = new s3.Bucket(this, 'Attachments', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      cors: config.webOrigins.length > 0 ? [corsFor(config.webOrigins)] : [],
      // The backend may delete objects, but not their versions: whoever takes a server over cannot erase attachments.
      versioned: true,
      lifecycleRules: [
        { id: 'unfinished-uploads', abortIncompleteMultipartUploadAfter: Duration.days(1) },
        { id: 'deleted-objects', noncurrentVersionExpiration: DELETED_OBJECT_RETENTION, expiredObjectDeleteMarker: true },
      ],
      removalPolicy,
    });
    Validations.of(bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason: 'Server access logs record request URLs, and a presigned URL is a credential; CloudTrail data events record who did what without it.',
    });
    return bucket;
  }
}

/** What a page needs for a presigned PUT and GET (https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html). */
function corsFor(origins: readonly string[]): s3.CorsRule {
  return {
    allowedOrigins: [...origins],
    allowedMethods: [s3.HttpMethods.PUT, s3.HttpMethods.GET],
    allowedHeaders: ['content-type', 'content-length', 'content-disposition', 'if-none-match', 'x-amz-*'],
    exposedHeaders: ['ETag'],
    maxAge: Duration.hours(1).toSeconds(),
  };
}
