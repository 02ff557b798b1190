import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import * as cloudfront from 'aws-cdk-lib/aws-cloudfront';
import { S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { contentSecurityPolicy } from '../../examples/web/hosting.ts';
import type { Config } from './config.ts';

/** The page's only path besides `/`: where the managed login returns to. */
const CALLBACK_PATH = '/callback';

/**
 * Where `examples/web` is served: a private bucket behind CloudFront.
 *
 * It comes before the other stacks, because pool, bucket and API allow its origin. `WebContentStack` fills it last.
 */
export class WebStack extends Stack {
  readonly bucket: s3.Bucket;
  readonly origin: string;

  constructor(scope: Construct, id: string, props: StackProps) {
    super(scope, id, props);
    this.bucket = this.#bucket();
    this.origin = `https://${this.#distribution().distributionDomainName}`;
    new CfnOutput(this, 'WebUrl', { value: this.origin });
  }

  /** The configuration with this page allowed to sign users in and to call. */
  allowedIn(config: Config): Config {
    return {
      ...config,
      callbackUrls: [...config.callbackUrls, `${this.origin}${CALLBACK_PATH}`],
      logoutUrls: [...config.logoutUrls, `${this.origin}/`],
      webOrigins: [...config.webOrigins, this.origin],
    };
  }

  #bucket(): s3.Bucket {
    const bucket = new s3.Bucket(this, 'Bucket', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    Validations.of(bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason: 'The bucket holds a public page, and only CloudFront reads it.',
    });
    return bucket;
  }

  #distribution(): cloudfront.Distribution {
    const distribution = new cloudfront.Distribution(this, 'Distribution', {
      defaultRootObject: 'index.html',
      httpVersion: cloudfront.HttpVersion.HTTP2_AND_3,
      priceClass: cloudfront.PriceClass.PRICE_CLASS_100,
      defaultBehavior: {
        origin: S3BucketOrigin.withOriginAccessControl(this.bucket),
        viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        responseHeadersPolicy: this.#headers(),
        functionAssociations: [{ eventType: cloudfront.FunctionEventType.VIEWER_REQUEST, function: this.#callbackPage() }],
      },
    });
    Validations.of(distribution).acknowledge(
      { id: 'AwsSolutions-CFR1', reason: 'Users may be in any country, as those of the API.' },
      { id: 'AwsSolutions-CFR2', reason: 'CloudFront serves static files here, so a web ACL would have no application to protect.' },
      { id: 'AwsSolutions-CFR3', reason: 'An access log would record authorization codes, which come in the URL of the callback.' },
      { id: 'AwsSolutions-CFR4', reason: 'CloudFront sets the TLS versions of its own domain; browsers use TLS 1.3.' },
    );
    return distribution;
  }

  #headers(): cloudfront.ResponseHeadersPolicy {
    return new cloudfront.ResponseHeadersPolicy(this, 'Headers', {
      securityHeadersBehavior: {
        contentSecurityPolicy: { contentSecurityPolicy: contentSecurityPolicy(), override: true },
        contentTypeOptions: { override: true },
        frameOptions: { frameOption: cloudfront.HeadersFrameOption.DENY, override: true },
        referrerPolicy: { referrerPolicy: cloudfront.HeadersReferrerPolicy.NO_REFERRER, override: true },
        strictTransportSecurity: { accessControlMaxAge: Duration.days(730), includeSubdomains: true, override: true },
      },
      customHeadersBehavior: {
        customHeaders: [{ header: 'cross-origin-opener-policy', value: 'same-origin', override: true }],
      },
    });
  }

  /** Serves the page at the callback URL, too. Other paths that name no file are errors. */
  #callbackPage(): cloudfront.Function {
    return new cloudfront.Function(this, 'CallbackPage', {
      runtime: cloudfront.FunctionRuntime.JS_2_0,
      code: cloudfront.FunctionCode.fromInline(`function handler({ request }) {
  if (request.uri === '${CALLBACK_PATH}') request.uri = '/index.html';
  return request;
}`),
    });
  }
}
