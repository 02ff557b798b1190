import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { App, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { buildApp } from '../lib/app.ts';

/** The ways to deploy that the documentation names, by what is given to `cdk -c`. */
export const DEPLOYMENTS = {
  'lambda': {},
  'fargate': {
    compute: 'fargate',
    domainName: 'api.example.com',
    hostedZoneId: 'Z0123456789ABCDEFGHIJ',
    webOrigins: 'https://app.example.com',
    callbackUrls: 'https://app.example.com/callback,http://localhost/callback',
    mcp: 'true',
    mcpRedirectUris: 'https://claude.ai/api/mcp/auth_callback',
  },
  'web': { web: 'true' },
  'release': {
    stage: 'staging',
    domainName: 'api.example.com',
    hostedZoneId: 'Z0123456789ABCDEFGHIJ',
    imageDigest: `sha256:${'0123456789abcdef'.repeat(4)}`,
    githubRepository: 'example/backend',
    alarmEmail: 'ops@example.com',
    retainData: 'false',
  },
} as const satisfies Record<string, Record<string, string>>;

export type StackId = 'Identity' | 'Data' | 'Service' | 'Observability' | 'Delivery' | 'Web' | 'WebContent';

/** Stands for the built `examples/web`. */
const WEB_FOLDER = fileURLToPath(new URL('web', import.meta.url));

/** An app as `cdk synth` makes it, with the context of cdk.json and of the command line. */
export function appWith(context: Record<string, string>): App {
  const file = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'));
  return buildApp(new App({ analyticsReporting: false, context: { ...file.context, ...context } }), WEB_FOLDER);
}

/** A stack's template, with a context of its own. */
export function templateWith(context: Record<string, string>, stack: StackId): Template {
  return template(appWith(context), stack);
}

/** A stack's template; apps are synthesized once for all tests of a file. */
export function templateOf(deployment: keyof typeof DEPLOYMENTS, stack: StackId): Template {
  const app = apps.get(deployment) ?? appWith(DEPLOYMENTS[deployment]);
  apps.set(deployment, app);
  return template(app, stack);
}

function template(app: App, stack: StackId): Template {
  return Template.fromStack(app.node.findChild(stack) as Stack);
}

const apps = new Map<string, App>();
