import { fileURLToPath } from 'node:url';
import { type App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { readConfig } from './config.ts';
import { DataStack } from './data-stack.ts';
import { DeliveryStack } from './delivery-stack.ts';
import { IdentityStack } from './identity-stack.ts';
import { ObservabilityStack } from './observability-stack.ts';
import { ServiceStack } from './service-stack.ts';
import { WebContentStack } from './web-content-stack.ts';
import { WebStack } from './web-stack.ts';

const BUILT_WEB_PAGE = fileURLToPath(new URL('../../examples/web/dist', import.meta.url));

/** Every stack of one stage; each is named `backend-<stage>-<part>`. */
export function buildApp(app: App, webFolder = BUILT_WEB_PAGE): App {
  const given = readConfig(app.node);
  const stackName = (part: string) => `backend-${given.stage}-${part}`;
  const web = given.web ? new WebStack(app, 'Web', { stackName: stackName('web') }) : undefined;
  const config = web?.allowedIn(given) ?? given;
  const identity = new IdentityStack(app, 'Identity', { config, stackName: stackName('identity') });
  const data = new DataStack(app, 'Data', { config, stackName: stackName('data') });
  const service = new ServiceStack(app, 'Service', { config, identity, data, stackName: stackName('service') });
  new ObservabilityStack(app, 'Observability', { config, identity, data, service, stackName: stackName('observability') });
  if (web !== undefined) {
    new WebContentStack(app, 'WebContent', { folder: webFolder, web, identity, data, service, stackName: stackName('web-content') });
  }
  if (config.githubRepository !== undefined) {
    const { githubRepository, githubOidcProvider, stage } = config;
    new DeliveryStack(app, 'Delivery', { githubRepository, githubOidcProvider, stage, stackName: stackName('delivery') });
  }
  Tags.of(app).add('application', 'backend');
  Tags.of(app).add('stage', config.stage);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return app;
}
