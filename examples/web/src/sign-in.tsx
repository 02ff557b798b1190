import { Page } from './page.tsx';
import { type Problem, useAction } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';
import type { Session } from './session.ts';

export function SignIn({ session, problem }: { session: Session; problem: Problem | undefined }) {
  const signIn = useAction();
  return (
    <div className="sheet narrow">
      <h2>Your items</h2>
      <p className="lead">Short notes with files, which only you can read.</p>
      <ProblemNotice problem={signIn.problem ?? problem} />
      <button type="button" disabled={signIn.busy} onClick={() => signIn.run(() => session.signIn())}>Sign in</button>
    </div>
  );
}

/** Shown while the API, which says where users sign in, does not answer. */
export function StartProblem({ problem, onRetry }: { problem: Problem; onRetry: () => Promise<void> }) {
  return (
    <Page>
      <div className="sheet narrow">
        <h2>Not connected</h2>
        <ProblemNotice problem={problem} />
        <button type="button" onClick={onRetry}>Try again</button>
      </div>
    </Page>
  );
}
