import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './api.gen.d.ts';
import { API_URL } from './config.ts';
import { ApiError, type Problem, unreachable } from './problem.ts';
import type { Session } from './session.ts';

export type Item = components['schemas']['Item'];
export type NewItem = components['schemas']['NewItem'];
export type Attachment = components['schemas']['Attachment'];
export type Api = Client<paths>;

/** The API's own page, before anybody has signed in. */
export async function userPoolOf(): Promise<string> {
  const api = createClient<paths>({ baseUrl: API_URL, fetch: reach });
  const metadata = await result(api.GET('/.well-known/oauth-protected-resource'));
  const [userPool] = metadata.authorization_servers;
  if (userPool === undefined) throw new Error(`${API_URL} names no authorization server`);
  return userPool;
}

/** The client of the API. Each request carries a valid access token; one that the API rejects is renewed once. */
export function createApi(session: Session): Api {
  const send = async (request: Request) => {
    const again = request.clone();
    const token = await session.accessToken();
    const response = await reach(withToken(request, token));
    if (response.status !== 401) return response;
    const retried = await reach(withToken(again, await session.accessToken(token)));
    if (retried.status === 401) await session.end();
    return retried;
  };
  return createClient<paths>({ baseUrl: API_URL, fetch: send });
}

/** The data of a response; throws its problem document as an `ApiError`. */
export async function result<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  throw new ApiError(isProblem(error) ? error : gatewayProblem(response));
}

/** The `ETag` of a version, which `If-Match` sends back. */
export function etag({ version }: Item): string {
  return `"${version}"`;
}

function withToken(request: Request, token: string): Request {
  request.headers.set('authorization', `Bearer ${token}`);
  return request;
}

async function reach(request: Request): Promise<Response> {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(20_000) });
  } catch {
    throw new ApiError(unreachable('The API'));
  }
}

function isProblem(error: unknown): error is Problem {
  return typeof error === 'object' && error !== null && 'detail' in error && 'status' in error;
}

/** For what answers in front of the API, in its own words. */
function gatewayProblem({ status, statusText }: Response): Problem {
  return { status, title: statusText, detail: `The server answered with status ${status}. Try again later.` };
}
