import { useRef, useState } from 'react';
import type { components } from './api.gen.d.ts';

/** What went wrong: the API's problem document (RFC 9457), or the same for what never reached the API. */
export type Problem = Pick<components['schemas']['Problem'], 'status' | 'title' | 'detail' | 'errors'> & {
  request_id?: string;
};

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

export function unreachable(who: string): Problem {
  return { status: 0, title: 'Not reached', detail: `${who} does not answer. Check the connection, then try again.` };
}

/** The problem of one field, by its JSON pointer. */
export function fieldProblem(problem: Problem | undefined, pointer: string): string | undefined {
  return problem?.errors?.find((error) => error.pointer === pointer)?.detail;
}

export interface Action {
  readonly busy: boolean;
  readonly problem: Problem | undefined;
  run(action: () => Promise<void>): Promise<void>;
}

/** Runs one action at a time, and keeps its problem until the next one starts. */
export function useAction(): Action {
  const running = useRef(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const run = async (action: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(undefined);
    try {
      await action();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error.problem);
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { busy, problem, run };
}
