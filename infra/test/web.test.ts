import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import { contentSecurityPolicy } from '../../examples/web/hosting.ts';
import { buildApp } from '../lib/app.ts';
import { appWith, templateOf } from './synth.ts';

const template = templateOf('web', 'Web');

/** The page's origin with a path, in another stack. */
const onThePage = (...path: string[]) => ({
  'Fn::Join': ['', ['https://', { 'Fn::ImportValue': Match.stringLikeRegexp('^backend-production-web:.*DomainName') }, ...path]],
});

test('only this distribution reads the bucket', () => {
  template.hasResourceProperties('AWS::S3::Bucket', {
    PublicAccessBlockConfiguration: {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    },
  });
  template.hasResourceProperties('AWS::CloudFront::OriginAccessControl', {
    OriginAccessControlConfig: { SigningBehavior: 'always', SigningProtocol: 'sigv4' },
  });
  template.hasResourceProperties('AWS::S3::BucketPolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Effect: 'Allow',
          Action: 's3:GetObject',
          Principal: { Service: 'cloudfront.amazonaws.com' },
          Condition: { StringEquals: { 'AWS:SourceArn': Match.anyValue() } },
        }),
      ]),
    },
  });
});

test('each response has a strict content security policy and the usual security headers', () => {
  template.hasResourceProperties('AWS::CloudFront::ResponseHeadersPolicy', {
    ResponseHeadersPolicyConfig: {
      SecurityHeadersConfig: {
        ContentSecurityPolicy: { ContentSecurityPolicy: contentSecurityPolicy(), Override: true },
        ContentTypeOptions: { Override: true },
        FrameOptions: { FrameOption: 'DENY' },
        ReferrerPolicy: { ReferrerPolicy: 'no-referrer' },
        StrictTransportSecurity: { AccessControlMaxAgeSec: 63_072_000 },
      },
    },
  });
  template.hasResourceProperties('AWS::CloudFront::Distribution', {
    DistributionConfig: {
      DefaultCacheBehavior: {
        ResponseHeadersPolicyId: Match.anyValue(),
        ViewerProtocolPolicy: 'redirect-to-https',
      },
    },
  });
});

test('the callback URL shows the page, and other paths are what they name', () => {
  const [resource] = Object.values(template.findResources('AWS::CloudFront::Function'));
  const handler = new Function('event', `${resource?.['Properties'].FunctionCode}; return handler(event);`);
  const served = (uri: string) => handler({ request: { uri } }).uri;
  assert.equal(served('/callback'), '/index.html');
  assert.equal(served('/'), '/');
  assert.equal(served('/assets/index.js'), '/assets/index.js');
});

test('pool, bucket and API allow the page\'s origin', () => {
  templateOf('web', 'Identity').hasResourceProperties('AWS::Cognito::UserPoolClient', {
    CallbackURLs: Match.arrayWith([onThePage('/callback')]),
    LogoutURLs: Match.arrayWith([onThePage('/')]),
  });
  templateOf('web', 'Data').hasResourceProperties('AWS::S3::Bucket', {
    CorsConfiguration: { CorsRules: [Match.objectLike({ AllowedOrigins: [onThePage()] })] },
  });
  templateOf('web', 'Service').hasResourceProperties('AWS::Lambda::Function', {
    Environment: { Variables: Match.objectLike({ CORS_ALLOWED_ORIGINS: onThePage() }) },
  });
});

test('the page is told where API, user pool and bucket are', () => {
  const deployments = templateOf('web', 'WebContent').findResources('Custom::CDKBucketDeployment');
  const markers = JSON.stringify(Object.values(deployments).map(({ Properties }) => Properties.SourceMarkers));
  for (const value of [/-service:[^"]*ApiEndpoint/, /-identity:[^"]*ProviderURL/, /-identity:[^"]*UserPoolDomain/, /-identity:[^"]*WebClient/, /-data:[^"]*RegionalDomainName/]) {
    assert.match(markers, value);
  }
});

test('browsers keep assets, and ask for a new page each time', () => {
  const content = templateOf('web', 'WebContent');
  const metadata = (value: string) => ({ SystemMetadata: { 'cache-control': value } });
  content.hasResourceProperties('Custom::CDKBucketDeployment', {
    DestinationBucketKeyPrefix: 'assets',
    ...metadata('public, max-age=31536000, immutable'),
  });
  content.hasResourceProperties('Custom::CDKBucketDeployment', {
    DestinationBucketKeyPrefix: Match.absent(),
    ...metadata('no-cache'),
  });
});

test('a page that was not built is asked for by its command', () => {
  const app = new App({ analyticsReporting: false, context: { web: 'true' } });
  assert.throws(() => buildApp(app, '/nowhere'), /npm ci && npm run build/);
});

test('without web=true there is no page', () => {
  assert.equal(appWith({}).node.tryFindChild('Web'), undefined);
});
