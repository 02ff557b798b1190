import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { appWith, DEPLOYMENTS, templateOf, templateWith } from './synth.ts';

const template = templateOf('release', 'Delivery');
const GITHUB = 'token.actions.githubusercontent.com';

test('only the stage\'s environment of the repository may deploy', () => {
  template.hasResourceProperties('AWS::IAM::Role', {
    AssumeRolePolicyDocument: {
      Statement: [
        Match.objectLike({
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: {
              [`${GITHUB}:aud`]: 'sts.amazonaws.com',
              [`${GITHUB}:sub`]: 'repo:example/backend:environment:staging',
            },
          },
        }),
      ],
    },
  });
});

test('the role may take the bootstrap roles of this account and region, and no other', () => {
  const [policy] = Object.values(template.findResources('AWS::IAM::Policy'));
  const statements: { Action: string | string[]; Resource: unknown }[] = policy?.['Properties'].PolicyDocument.Statement;
  const assumed = statements.filter(({ Action }) => Action === 'sts:AssumeRole');
  assert.equal(assumed.length, 1);
  assert.doesNotMatch(JSON.stringify(assumed), /\*/);
});

test('images cannot be replaced under their name, and are scanned', () => {
  template.allResourcesProperties('AWS::ECR::Repository', {
    ImageTagMutability: 'IMMUTABLE',
    ImageScanningConfiguration: { ScanOnPush: true },
  });
  template.resourceCountIs('AWS::ECR::Repository', 2);
});

test('deployments that do not name the repository leave the other stacks as they are', () => {
  const { githubRepository: _, ...context } = DEPLOYMENTS.release;
  assert.deepEqual(templateWith(context, 'Identity').toJSON(), templateOf('release', 'Identity').toJSON());
});

test('the subject may hold the ids of owner and repository, as GitHub\'s tokens do', () => {
  const delivery = templateWith({ ...DEPLOYMENTS.release, githubRepository: 'example@1/backend@2' }, 'Delivery');
  assert.match(JSON.stringify(delivery.toJSON()), /"repo:example@1\/backend@2:environment:staging"/);
});

test('a provider of GitHub\'s tokens that the account has already is used', () => {
  const existing = templateWith({ ...DEPLOYMENTS.release, githubOidcProvider: 'existing' }, 'Delivery');
  existing.resourceCountIs('AWS::IAM::OIDCProvider', 0);
  template.hasResource('AWS::IAM::OIDCProvider', { DeletionPolicy: 'Retain' });
  const [role] = Object.values(existing.findResources('AWS::IAM::Role'));
  const { Federated } = role?.['Properties'].AssumeRolePolicyDocument.Statement[0].Principal;
  const arn = ['arn:', { Ref: 'AWS::Partition' }, ':iam::', { Ref: 'AWS::AccountId' }, `:oidc-provider/${GITHUB}`];
  assert.deepEqual(Federated, { 'Fn::Join': ['', arn] });
});

test('without a repository there is no such role', () => {
  const { githubRepository: _, ...context } = DEPLOYMENTS.release;
  assert.equal(appWith(context).node.tryFindChild('Delivery'), undefined);
});
