import { CfnOutput, Duration, Fn, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';

export interface IdentityStackProps extends StackProps {
  readonly config: Config;
}

/** Who may call: the user pool, its managed login, and the clients, scopes and group that the backend's policies name. */
export class IdentityStack extends Stack {
  readonly userPool: cognito.UserPool;
  readonly domain: cognito.UserPoolDomain;
  readonly webClient: cognito.UserPoolClient;
  readonly machineClient: cognito.UserPoolClient;
  /** What AI clients sign in with. */
  readonly mcpClient: cognito.UserPoolClient | undefined;

  constructor(scope: Construct, id: string, { config, ...props }: IdentityStackProps) {
    super(scope, id, props);
    this.userPool = this.#userPool(config);
    this.domain = this.#managedLogin(config);
    const scopes = this.#scopes();
    this.webClient = this.#webClient(config, scopes);
    this.machineClient = this.#machineClient(scopes);
    this.mcpClient = config.mcp && config.domain ? this.#mcpClient(`https://${config.domain.name}`, scopes) : undefined;
    this.userPool.addGroup('Admins', { groupName: 'admins', description: 'May use the routes under /admin.' });
    this.#acknowledgeFindings();
    new CfnOutput(this, 'UserPoolId', { value: this.userPool.userPoolId });
    new CfnOutput(this, 'ManagedLoginUrl', { value: this.domain.baseUrl() });
    new CfnOutput(this, 'WebClientId', { value: this.webClient.userPoolClientId });
    new CfnOutput(this, 'MachineClientId', { value: this.machineClient.userPoolClientId });
  }

  #userPool(config: Config): cognito.UserPool {
    return new cognito.UserPool(this, 'UserPool', {
      featurePlan: cognito.FeaturePlan.ESSENTIALS,
      signInAliases: { email: true },
      signInCaseSensitive: false,
      selfSignUpEnabled: true,
      autoVerify: { email: true },
      standardAttributes: { email: { required: true, mutable: true } },
      // A changed address signs in only once it is verified; until then the old one does.
      keepOriginal: { email: true },
      passwordPolicy: {
        minLength: 12,
        requireLowercase: true,
        requireUppercase: true,
        requireDigits: true,
        requireSymbols: true,
        tempPasswordValidity: Duration.days(3),
      },
      mfa: cognito.Mfa.OPTIONAL,
      mfaSecondFactor: { otp: true, sms: false },
      accountRecovery: cognito.AccountRecovery.EMAIL_ONLY,
      deletionProtection: config.retainData,
      removalPolicy: config.retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }

  #managedLogin(config: Config): cognito.UserPoolDomain {
    return this.userPool.addDomain('Domain', {
      managedLoginVersion: cognito.ManagedLoginVersion.NEWER_MANAGED_LOGIN,
      cognitoDomain: { domainPrefix: `${config.stage}-${this.#uniqueSuffix()}` },
    });
  }

  /** Domain prefixes are shared by all accounts of a region: the first 8 digits of the UUID in the stack's ARN tell ours apart. */
  #uniqueSuffix(): string {
    const stackUuid = Fn.select(2, Fn.split('/', this.stackId));
    return Fn.select(0, Fn.split('-', stackUuid));
  }

  #scopes(): cognito.OAuthScope[] {
    const read = new cognito.ResourceServerScope({ scopeName: 'read', scopeDescription: 'Read your items.' });
    const write = new cognito.ResourceServerScope({ scopeName: 'write', scopeDescription: 'Create, change and delete your items.' });
    const items = this.userPool.addResourceServer('ItemsResourceServer', {
      identifier: 'items',
      userPoolResourceServerName: 'Items',
      scopes: [read, write],
    });
    return [cognito.OAuthScope.resourceServer(items, read), cognito.OAuthScope.resourceServer(items, write)];
  }

  /** For browsers, command lines and apps: no secret, so the authorization code is bound by PKCE. */
  #webClient(config: Config, scopes: cognito.OAuthScope[]): cognito.UserPoolClient {
    const docsUrl = config.docs && config.domain ? `https://${config.domain.name}/docs` : undefined;
    return this.#publicClient('WebClient', {
      flows: { authorizationCodeGrant: true },
      scopes: [cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL, cognito.OAuthScope.PROFILE, ...scopes],
      callbackUrls: [...(docsUrl ? [`${docsUrl}/oauth2-redirect.html`] : []), ...config.callbackUrls],
      logoutUrls: [...(docsUrl ? [docsUrl] : []), ...config.logoutUrls],
    });
  }

  /**
   * For AI clients, whose sign-ins all come back at the backend's broker. Their tokens are bound to the endpoint: Cognito binds them to a
   * registered URL, `resource` in the authorization request.
   */
  #mcpClient(ownUrl: string, scopes: cognito.OAuthScope[]): cognito.UserPoolClient {
    this.userPool.addResourceServer('McpResourceServer', { identifier: `${ownUrl}/mcp`, userPoolResourceServerName: 'MCP' });
    return this.#publicClient('McpClient', {
      flows: { authorizationCodeGrant: true },
      scopes,
      callbackUrls: [`${ownUrl}/oauth/callback`],
    });
  }

  #publicClient(id: string, oAuth: cognito.OAuthSettings): cognito.UserPoolClient {
    const client = this.userPool.addClient(id, {
      generateSecret: false,
      // Refresh-token rotation rules out ALLOW_REFRESH_TOKEN_AUTH, which Cognito adds when no flow is named.
      authFlows: { userSrp: true },
      oAuth,
      supportedIdentityProviders: [cognito.UserPoolClientIdentityProvider.COGNITO],
      accessTokenValidity: Duration.hours(1),
      idTokenValidity: Duration.hours(1),
      refreshTokenValidity: Duration.days(30),
      // The longest that Cognito allows: a client whose answer was lost may ask again with the old token.
      refreshTokenRotationGracePeriod: Duration.seconds(60),
      enableTokenRevocation: true,
      preventUserExistenceErrors: true,
    });
    // The newer managed login shows no page for a client without a style.
    new cognito.CfnManagedLoginBranding(this, `${id}Branding`, {
      userPoolId: this.userPool.userPoolId,
      clientId: client.userPoolClientId,
      useCognitoProvidedValues: true,
    });
    return client;
  }

  /** For other services: client credentials; no user signs in through it. */
  #machineClient(scopes: cognito.OAuthScope[]): cognito.UserPoolClient {
    return this.userPool.addClient('MachineClient', {
      generateSecret: true,
      // Cognito adds SRP when no flow is named; custom authentication without its triggers lets nobody in.
      authFlows: { custom: true },
      oAuth: { flows: { clientCredentials: true }, scopes },
      supportedIdentityProviders: [cognito.UserPoolClientIdentityProvider.COGNITO],
      accessTokenValidity: Duration.hours(1),
      enableTokenRevocation: true,
      preventUserExistenceErrors: true,
    });
  }

  #acknowledgeFindings(): void {
    Validations.of(this.userPool).acknowledge(
      {
        id: 'AwsSolutions-COG2',
        reason: 'MFA is each user\'s choice (TOTP), so that a newcomer signs in with what e-mail and password give.',
      },
      {
        id: 'AwsSolutions-COG8',
        reason: 'Threat protection needs the Plus plan, at about three times the price of Essentials; README.md says how to turn it on.',
      },
    );
  }
}
