import { Validations } from 'aws-cdk-lib';
import type { UserPoolClient } from 'aws-cdk-lib/aws-cognito';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import type { DataStack } from './data-stack.ts';
import type { IdentityStack } from './identity-stack.ts';

/** The backend's variables (`.env.example`), taken from the stacks that make what they name. */
export function backendEnvironment(
  config: Config,
  identity: IdentityStack,
  data: DataStack,
  publicUrl: string,
): Record<string, string> {
  return {
    COGNITO_USER_POOL_ID: identity.userPool.userPoolId,
    // The first is the one that `/docs` signs in with.
    COGNITO_APP_CLIENT_ID: [identity.webClient, identity.machineClient, identity.mcpClient]
      .flatMap((client) => client?.userPoolClientId ?? [])
      .join(','),
    COGNITO_DOMAIN: identity.domain.baseUrl(),
    DYNAMODB_TABLE_NAME: data.table.tableName,
    S3_BUCKET_NAME: data.bucket.bucketName,
    PUBLIC_URL: publicUrl,
    ...(config.webOrigins.length > 0 ? { CORS_ALLOWED_ORIGINS: config.webOrigins.join(',') } : {}),
    ...(identity.mcpClient ? mcpEnvironment(config, identity.mcpClient) : {}),
    // Two years. Port 80 is closed, but a browser that was sent elsewhere by a typing error must not try it either.
    STRICT_TRANSPORT_SECURITY: 'max-age=63072000',
    DOCS_ENABLED: String(config.docs),
    LOG_FORMAT: 'json',
  };
}

function mcpEnvironment(config: Config, client: UserPoolClient): Record<string, string> {
  return {
    MCP: 'true',
    MCP_CLIENT_ID: client.userPoolClientId,
    MCP_REDIRECT_URIS: config.mcpRedirectUris.join(','),
  };
}

/** `MCP_BROKER_KEY`: one for all instances, because the steps of a sign-in reach different ones. */
export function mcpBrokerKey(scope: Construct): secretsmanager.Secret {
  const secret = new secretsmanager.Secret(scope, 'McpBrokerKey', {
    description: 'Seals what the backend gives to browsers during the sign-in of an AI client.',
    generateSecretString: { passwordLength: 64, excludePunctuation: true },
  });
  Validations.of(secret).acknowledge({
    id: 'AwsSolutions-SMG4',
    reason: 'Another key ends the sign-ins that are under way, and what it seals expires after ten minutes.',
  });
  return secret;
}

/** `LOG_HASH_KEY`: one for all instances, so that a caller's requests are found together whichever instance answered. */
export function logHashKey(scope: Construct): secretsmanager.Secret {
  const secret = new secretsmanager.Secret(scope, 'LogHashKey', {
    description: 'Keys the hashes that stand for callers in the log of the backend.',
    generateSecretString: { passwordLength: 64, excludePunctuation: true },
  });
  Validations.of(secret).acknowledge({
    id: 'AwsSolutions-SMG4',
    reason: 'It opens nothing; with another key, the callers of older lines could no longer be found.',
  });
  return secret;
}
