import type { User } from 'oidc-client-ts';
import { useEffect, useState } from 'react';
import type { Api } from './api.ts';
import { Items } from './items.tsx';
import { Page } from './page.tsx';
import { type Problem, useAction } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';
import type { Session } from './session.ts';
import { SignIn } from './sign-in.tsx';

const ENDED: Problem = { status: 401, title: 'Signed out', detail: 'Your sign-in has ended. Sign in again.' };

interface Props {
  session: Session;
  api: Api;
  /** Why the sign-in that returned to this page failed. */
  problem: Problem | undefined;
}

export function App({ session, api, problem }: Props) {
  const { user, hasEnded } = useUser(session);
  if (user === undefined) return null;
  if (user === null) return <Page><SignIn session={session} problem={hasEnded ? ENDED : problem} /></Page>;
  return (
    <Page account={<Account session={session} user={user} />}>
      <Items key={user.profile.sub} api={api} />
    </Page>
  );
}

/** The user; `undefined` until the storage was read, `null` for nobody. */
function useUser(session: Session) {
  const [state, setState] = useState<{ user?: User | null; hasEnded: boolean }>({ hasEnded: false });
  useEffect(() => {
    const read = async () => {
      const user = await session.user();
      setState((before) => ({ user, hasEnded: user === null && (before.hasEnded || !!before.user) }));
    };
    void read();
    return session.subscribe(read);
  }, [session]);
  return state;
}

function Account({ session, user: { profile } }: { session: Session; user: User }) {
  const signOut = useAction();
  return (
    <div className="account">
      <span className="name">{profile.name ?? profile.email ?? String(profile['cognito:username'])}</span>
      <button type="button" className="small" onClick={() => signOut.run(() => session.signOut())}>Sign out</button>
      <ProblemNotice problem={signOut.problem} />
    </div>
  );
}
