import { ErrorResponse, type User, UserManager, WebStorageStateStore } from 'oidc-client-ts';
import { CLIENT_ID, SCOPE } from './config.ts';
import { ApiError, unreachable } from './problem.ts';

/** A token that is valid for less than this is renewed before it is sent. */
const RENEW_BEFORE_SECONDS = 60;

/**
 * The user's sign-in, shared by all tabs of this origin.
 *
 * Tokens are in `localStorage` and are renewed under a lock of the browser. The pool rotates refresh tokens and takes
 * the second use of one as theft, so two tabs must never present the same one.
 */
export class Session {
  readonly #users: UserManager;

  constructor(authority: string) {
    this.#users = new UserManager({
      authority,
      client_id: CLIENT_ID,
      redirect_uri: `${location.origin}/callback`,
      scope: SCOPE,
      userStore: new WebStorageStateStore({ store: localStorage }),
      automaticSilentRenew: false, // `accessToken` renews, under the lock.
      requestTimeoutInSeconds: 10,
    });
  }

  /** Finishes a sign-in if this page is its callback, and returns to where it began. */
  async finishSignIn(): Promise<void> {
    if (location.pathname !== '/callback') return;
    const user = await this.#users.signinCallback().finally(() => history.replaceState(null, '', '/'));
    if (typeof user?.state === 'string') history.replaceState(null, '', `/${user.state}`);
  }

  signIn(): Promise<void> {
    return this.#users.signinRedirect({ state: location.hash });
  }

  /** Ends the sign-in here and at the user pool. */
  async signOut(): Promise<void> {
    // The page leaves even if this fails: the pool's sign-out matters more.
    await this.#users.revokeTokens(['refresh_token']).catch(() => undefined);
    // Cognito's /logout has its own parameters.
    await this.#users.signoutRedirect({
      extraQueryParams: { client_id: CLIENT_ID, logout_uri: `${location.origin}/` },
    });
  }

  /** The signed-in user, also if the access token has expired: it can be renewed. */
  user(): Promise<User | null> {
    return this.#users.getUser();
  }

  /** Calls `listener` when the user may have changed, in this tab or another. */
  subscribe(listener: () => void): () => void {
    const stopLoaded = this.#users.events.addUserLoaded(listener);
    const stopUnloaded = this.#users.events.addUserUnloaded(listener);
    addEventListener('storage', listener);
    return () => {
      stopLoaded();
      stopUnloaded();
      removeEventListener('storage', listener);
    };
  }

  /** A valid access token other than `rejected`, which the API did not accept. */
  async accessToken(rejected?: string): Promise<string> {
    const isUsable = (user: User | null): user is User =>
      user !== null && user.access_token !== rejected && (user.expires_in ?? 0) > RENEW_BEFORE_SECONDS;
    const user = await this.user();
    if (isUsable(user)) return user.access_token;
    return navigator.locks.request('renew', async () => {
      const current = await this.user();
      if (isUsable(current)) return current.access_token; // Another tab renewed it.
      return (await this.#renew(current)).access_token;
    });
  }

  /** Forgets the user: the sign-in has ended. */
  async end(): Promise<void> {
    await this.#users.removeUser();
  }

  async #renew(user: User | null): Promise<User> {
    try {
      const renewed = user?.refresh_token ? await this.#users.signinSilent() : null;
      if (renewed) return renewed;
    } catch (error) {
      if (!(error instanceof ErrorResponse)) throw new ApiError(unreachable('The user pool'));
    }
    await this.end();
    throw new ApiError({ status: 401, title: 'Signed out', detail: 'Your sign-in has ended. Sign in again.' });
  }
}
