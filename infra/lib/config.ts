import type { Node } from 'constructs';

/** What `cdk -c name=value` decides; README.md describes each. */
export interface Config {
  readonly stage: string;
  readonly compute: 'fargate' | 'lambda';
  readonly architecture: 'arm64' | 'x86_64';
  /** The API's host name, with the Route 53 zone that answers for it. */
  readonly domain: { readonly name: string; readonly hostedZoneId: string } | undefined;
  /** Where the managed login may return to, besides the API's own `/docs`. */
  readonly callbackUrls: readonly string[];
  readonly logoutUrls: readonly string[];
  /** Web pages that may call the API and upload attachments. */
  readonly webOrigins: readonly string[];
  /** Whether the API serves `/docs` and `/openapi.json`. */
  readonly docs: boolean;
  /** Whether `/mcp` serves AI clients, and where their sign-in may end besides the user's own machine. */
  readonly mcp: boolean;
  readonly mcpRedirectUris: readonly string[];
  /** The image to run, already in this account's registry; without it the CDK builds the Dockerfile. */
  readonly imageDigest: string | undefined;
  readonly natGateways: number;
  /** How many instances of the function may run at once; `undefined` shares the account's limit. */
  readonly reservedConcurrency: number | undefined;
  /** Whether `examples/web` is published. */
  readonly web: boolean;
  /** Whether a web ACL limits the requests of one address; `fargate` only, because an HTTP API takes no web ACL. */
  readonly waf: boolean;
  /** Whether requests are traced with X-Ray. */
  readonly tracing: boolean;
  /** Whether user pool, table and bucket outlive their stacks. */
  readonly retainData: boolean;
  readonly alarmEmail: string | undefined;
  /** `owner/name` whose workflows may deploy here. */
  readonly githubRepository: string | undefined;
  /** An account can hold one provider of GitHub's tokens: this stack's, or one that was there before. */
  readonly githubOidcProvider: 'new' | 'existing';
}

/** Reads the CDK context; throws one error that lists every mistake. */
export function readConfig(node: Node): Config {
  const context = new Context(node);
  const config: Config = {
    stage: context.matching('stage', /^[a-z][a-z0-9-]{1,19}$/, 'a short lower-case name such as staging') ?? 'production',
    compute: context.oneOf('compute', ['fargate', 'lambda']) ?? 'lambda',
    architecture: context.oneOf('architecture', ['arm64', 'x86_64']) ?? 'arm64',
    domain: domain(context),
    callbackUrls: context.urls('callbackUrls') ?? ['http://localhost/callback'],
    logoutUrls: context.urls('logoutUrls') ?? ['http://localhost/'],
    webOrigins: context.origins('webOrigins') ?? [],
    docs: (context.oneOf('docs', ['true', 'false']) ?? 'true') === 'true',
    mcp: (context.oneOf('mcp', ['true', 'false']) ?? 'false') === 'true',
    mcpRedirectUris: context.urls('mcpRedirectUris') ?? [],
    imageDigest: context.matching('imageDigest', /^sha256:[0-9a-f]{64}$/, 'a digest such as sha256:<64 hex digits>'),
    natGateways: Number(context.oneOf('natGateways', ['1', '2']) ?? '2'),
    reservedConcurrency: context.count('reservedConcurrency'),
    web: (context.oneOf('web', ['true', 'false']) ?? 'false') === 'true',
    waf: (context.oneOf('waf', ['true', 'false']) ?? 'false') === 'true',
    tracing: (context.oneOf('tracing', ['true', 'false']) ?? 'false') === 'true',
    retainData: (context.oneOf('retainData', ['true', 'false']) ?? 'true') === 'true',
    alarmEmail: context.matching('alarmEmail', /^[^@\s]+@[^@\s]+$/, 'an e-mail address'),
    githubRepository: context.matching('githubRepository', /^[\w.-]+(@\d+)?\/[\w.-]+(@\d+)?$/, '<owner>/<name>, with ids <owner>@<id>/<name>@<id>'),
    githubOidcProvider: context.oneOf('githubOidcProvider', ['new', 'existing']) ?? 'new',
  };
  if (config.compute === 'fargate' && config.domain === undefined) {
    context.mistakes.push('compute=fargate needs domainName and hostedZoneId: a load balancer has no TLS certificate of its own');
  }
  if (config.mcp && config.domain === undefined) {
    context.mistakes.push('mcp=true needs domainName and hostedZoneId: the user pool registers the URL of the endpoint');
  }
  if (config.compute === 'lambda' && config.waf) {
    context.mistakes.push('waf=true needs compute=fargate: an HTTP API cannot have a web ACL');
  }
  if (config.compute === 'fargate' && config.reservedConcurrency !== undefined) {
    context.mistakes.push('reservedConcurrency needs compute=lambda');
  }
  context.assertNoMistakes();
  return config;
}

function domain(context: Context): Config['domain'] {
  const name = context.matching('domainName', /^([a-z0-9-]+\.)+[a-z]{2,}$/, 'a host name such as api.example.com');
  const hostedZoneId = context.matching('hostedZoneId', /^Z[A-Z0-9]+$/, "a Route 53 hosted zone's id");
  if ((name === undefined) !== (hostedZoneId === undefined)) {
    context.mistakes.push('domainName and hostedZoneId go together: set both or neither');
  }
  return name !== undefined && hostedZoneId !== undefined ? { name, hostedZoneId } : undefined;
}

/** The context's values, which arrive as strings from the command line and as any JSON from cdk.json. */
class Context {
  readonly mistakes: string[] = [];
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  matching(name: string, pattern: RegExp, expected: string): string | undefined {
    const value = this.#value(name);
    if (value !== undefined && !pattern.test(value)) {
      this.mistakes.push(`${name} must be ${expected}, not '${value}'`);
    }
    return value;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.#value(name);
    const found = allowed.find((candidate) => candidate === value);
    if (value !== undefined && found === undefined) {
      this.mistakes.push(`${name} must be one of ${allowed.join(', ')}, not '${value}'`);
    }
    return found;
  }

  /** A number from 1 to 10,000. */
  count(name: string): number | undefined {
    const value = this.matching(name, /^([1-9][0-9]{0,3}|10000)$/, 'a number from 1 to 10000');
    return value === undefined ? undefined : Number(value);
  }

  /** URLs as Cognito takes them: https, or http on localhost. */
  urls(name: string): string[] | undefined {
    return this.#list(name, 'https URLs (http for localhost only), comma-separated', (value) => {
      const url = tryUrl(value);
      return url !== null && isHttpsOrLocalhost(url) && url.hash === '';
    });
  }

  origins(name: string): string[] | undefined {
    return this.#list(name, 'origins such as https://app.example.com, comma-separated', (value) => {
      const url = tryUrl(value);
      return url !== null && isHttpsOrLocalhost(url) && url.origin === value;
    });
  }

  assertNoMistakes(): void {
    if (this.mistakes.length > 0) {
      throw new Error(`the context has ${this.mistakes.length} mistake(s):\n  ${this.mistakes.join('\n  ')}`);
    }
  }

  #list(name: string, expected: string, isValid: (value: string) => boolean): string[] | undefined {
    const values = this.#value(name)?.split(',').map((value) => value.trim()).filter((value) => value !== '');
    const wrong = values?.filter((value) => !isValid(value)) ?? [];
    if (wrong.length > 0) {
      this.mistakes.push(`${name} must be ${expected}, not '${wrong.join(', ')}'`);
    }
    return values;
  }

  #value(name: string): string | undefined {
    const value: unknown = this.#node.tryGetContext(name);
    if (value === undefined || value === null || value === '') {
      return undefined;
    }
    return Array.isArray(value) ? value.join(',') : String(value);
  }
}

function tryUrl(value: string): URL | null {
  return URL.canParse(value) ? new URL(value) : null;
}

function isHttpsOrLocalhost(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && url.hostname === 'localhost');
}
