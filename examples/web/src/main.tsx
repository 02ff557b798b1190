import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createApi, userPoolOf } from './api.ts';
import { App } from './app.tsx';
import { ApiError, type Problem } from './problem.ts';
import { Session } from './session.ts';
import { StartProblem } from './sign-in.tsx';
import './style.css';

const SIGN_IN_UNFINISHED: Problem = {
  status: 0,
  title: 'Not signed in',
  detail: 'The sign-in was not finished. Try again.',
};

const element = document.getElementById('root');
if (element === null) throw new Error('the page has no element #root');
const root = createRoot(element);

/** Learns from the API where users sign in, finishes a sign-in that returns here, and shows the application. */
async function start(): Promise<void> {
  try {
    const session = new Session(await userPoolOf());
    const problem = await session.finishSignIn().then(() => undefined, () => SIGN_IN_UNFINISHED);
    root.render(<StrictMode><App session={session} api={createApi(session)} problem={problem} /></StrictMode>);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    root.render(<StrictMode><StartProblem problem={error.problem} onRetry={start} /></StrictMode>);
  }
}

void start();
