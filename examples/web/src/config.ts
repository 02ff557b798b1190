/** A setting that a deployment wrote into the page (`hosting.ts`). */
function deployed(name: string): string | undefined {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content;
}

/** The API. Its metadata (RFC 9728) names the user pool. */
export const API_URL = deployed('api-url') ?? import.meta.env.VITE_API_URL ?? 'http://localhost:8000';

/** The public app client. Its callback URL is `/callback` on this origin, its logout URL is `/`. */
export const CLIENT_ID = deployed('client-id') ?? import.meta.env.VITE_CLIENT_ID ?? 'localweb';

export const SCOPE = 'openid email profile items/read items/write';
