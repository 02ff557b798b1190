import type { Problem } from './problem.ts';

/** A problem in place, unless `fields` show all of its errors. The request ID helps to find a server's error in its log. */
export function ProblemNotice({ problem, fields = [] }: { problem: Problem | undefined; fields?: readonly string[] }) {
  if (problem === undefined) return null;
  if (problem.errors?.every(({ pointer }) => fields.includes(pointer))) return null;
  return (
    <div className="alert" role="alert">
      <p>{problem.detail}</p>
      {problem.status >= 500 && problem.request_id && (
        <p className="meta">Request <code>{problem.request_id}</code></p>
      )}
    </div>
  );
}
