/** What a server of the built page must know. `infra/`, `vite preview` and the tests use it. */

/**
 * The value of the header `Content-Security-Policy`. `connect` is what the page may call.
 *
 * The header of a deployment allows any https origin, because it exists before the API does. The page itself then names
 * the origins: see `deployedPage`. A browser enforces both.
 */
export function contentSecurityPolicy(connect = 'https:'): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

export interface Deployment {
  readonly apiUrl: string;
  readonly clientId: string;
  /** The origins of the API, the user pool, its domain and the bucket: everything that the page calls. */
  readonly connect: readonly string[];
}

/** The built page with the settings of a deployment, which win over those of the build. */
export function deployedPage(html: string, { apiUrl, clientId, connect }: Deployment): string {
  const settings = [
    `<meta http-equiv="Content-Security-Policy" content="connect-src ${connect.join(' ')}">`,
    `<meta name="api-url" content="${apiUrl}">`,
    `<meta name="client-id" content="${clientId}">`,
  ];
  return html.replace('<head>', ['<head>', ...settings].join('\n    '));
}
