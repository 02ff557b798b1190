import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { templateOf } from './synth.ts';

const template = templateOf('fargate', 'Identity');

test('the user pool is on the Essentials plan and outlives its stack', () => {
  template.hasResource('AWS::Cognito::UserPool', {
    DeletionPolicy: 'Retain',
    UpdateReplacePolicy: 'Retain',
    Properties: { UserPoolTier: 'ESSENTIALS', DeletionProtection: 'ACTIVE' },
  });
});

test('people sign in with an e-mail address that they have shown to be theirs', () => {
  template.hasResourceProperties('AWS::Cognito::UserPool', {
    UsernameAttributes: ['email'],
    UsernameConfiguration: { CaseSensitive: false },
    AutoVerifiedAttributes: ['email'],
    UserAttributeUpdateSettings: { AttributesRequireVerificationBeforeUpdate: ['email'] },
    AccountRecoverySetting: { RecoveryMechanisms: [{ Name: 'verified_email', Priority: 1 }] },
  });
});

test('passwords are long and TOTP is on offer, never SMS', () => {
  template.hasResourceProperties('AWS::Cognito::UserPool', {
    Policies: { PasswordPolicy: Match.objectLike({ MinimumLength: 12 }) },
    MfaConfiguration: 'OPTIONAL',
    EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
  });
});

test('the resource server and the group are those that the backend\'s policies name', () => {
  template.hasResourceProperties('AWS::Cognito::UserPoolResourceServer', {
    Identifier: 'items',
    Scopes: [Match.objectLike({ ScopeName: 'read' }), Match.objectLike({ ScopeName: 'write' })],
  });
  template.hasResourceProperties('AWS::Cognito::UserPoolGroup', { GroupName: 'admins' });
});

test('the public client has no secret, only the code grant, and rotating refresh tokens', () => {
  template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
    GenerateSecret: false,
    AllowedOAuthFlows: ['code'],
    AllowedOAuthFlowsUserPoolClient: true,
    ExplicitAuthFlows: ['ALLOW_USER_SRP_AUTH'],
    RefreshTokenRotation: { Feature: 'ENABLED', RetryGracePeriodSeconds: 60 },
    EnableTokenRevocation: true,
    PreventUserExistenceErrors: 'ENABLED',
    AccessTokenValidity: 60,
    SupportedIdentityProviders: ['COGNITO'],
  });
});

test('the managed login returns to the API\'s own documentation and to the callback URLs given', () => {
  template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
    CallbackURLs: [
      'https://api.example.com/docs/oauth2-redirect.html',
      'https://app.example.com/callback',
      'http://localhost/callback',
    ],
  });
});

test('the machine client has a secret and only the custom scopes', () => {
  const itemsScope = (name: string) => ({ 'Fn::Join': ['', [Match.anyValue(), `/${name}`]] });
  template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
    GenerateSecret: true,
    AllowedOAuthFlows: ['client_credentials'],
    AllowedOAuthScopes: [itemsScope('read'), itemsScope('write')],
    ExplicitAuthFlows: Match.not(Match.arrayWith(['ALLOW_USER_SRP_AUTH'])),
  });
});

test('the managed login has a style, without which its newer version shows no page', () => {
  template.hasResourceProperties('AWS::Cognito::UserPoolDomain', { ManagedLoginVersion: 2 });
  template.hasResourceProperties('AWS::Cognito::ManagedLoginBranding', { UseCognitoProvidedValues: true });
});

test('a stage whose data may go is deleted with its stack', () => {
  const disposable = templateOf('release', 'Identity');
  disposable.hasResource('AWS::Cognito::UserPool', {
    DeletionPolicy: 'Delete',
    Properties: { DeletionProtection: 'INACTIVE' },
  });
});

test('AI clients have one callback URL, and tokens that are bound to the endpoint', () => {
  template.hasResourceProperties('AWS::Cognito::UserPoolResourceServer', { Identifier: 'https://api.example.com/mcp' });
  template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
    GenerateSecret: false,
    AllowedOAuthFlows: ['code'],
    CallbackURLs: ['https://api.example.com/oauth/callback'],
    AllowedOAuthScopes: Match.arrayEquals([Match.anyValue(), Match.anyValue()]),
  });
});
