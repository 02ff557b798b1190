import { useEffect, useRef } from 'react';
import type { Item, NewItem } from './api.ts';
import { fieldProblem, type Problem } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';

/** What the user types. */
export interface Draft {
  readonly title: string;
  readonly description: string;
}

export const EMPTY: Draft = { title: '', description: '' };

export function draftOf({ title, description }: Item): Draft {
  return { title, description: description ?? '' };
}

export function bodyOf({ title, description }: Draft): NewItem {
  return { title, description: description === '' ? null : description };
}

interface Props {
  draft: Draft;
  onChange: (draft: Draft) => void;
  problem: Problem | undefined;
}

/** The fields of an item. The API validates them, and its errors are shown where they belong. */
export function ItemFields({ draft, onChange, problem }: Props) {
  const title = useRef<HTMLInputElement>(null);
  const description = useRef<HTMLTextAreaElement>(null);
  const titleProblem = fieldProblem(problem, '/title');
  const descriptionProblem = fieldProblem(problem, '/description');
  useEffect(() => {
    (titleProblem ? title : descriptionProblem ? description : undefined)?.current?.focus();
  }, [problem]);
  return (
    <>
      <ProblemNotice problem={problem} fields={['/title', '/description']} />
      <div className="field">
        <label htmlFor="title">Title</label>
        <input
          id="title" ref={title} value={draft.title} autoComplete="off"
          aria-required aria-invalid={!!titleProblem} aria-describedby={titleProblem && 'title-problem'}
          onChange={(event) => onChange({ ...draft, title: event.target.value })}
        />
        {titleProblem && <p className="problem" id="title-problem">{sentence(titleProblem)}</p>}
      </div>
      <div className="field">
        <label htmlFor="description">Description</label>
        <textarea
          id="description" ref={description} rows={5} value={draft.description}
          aria-invalid={!!descriptionProblem} aria-describedby={descriptionProblem && 'description-problem'}
          onChange={(event) => onChange({ ...draft, description: event.target.value })}
        />
        {descriptionProblem && <p className="problem" id="description-problem">{sentence(descriptionProblem)}</p>}
      </div>
    </>
  );
}

/** The API's field errors continue "This field …". */
function sentence(detail: string): string {
  return detail.charAt(0).toUpperCase() + detail.slice(1);
}
