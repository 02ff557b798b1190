import { type ReactNode, useEffect, useRef } from 'react';
import type { Item } from './api.ts';
import { type Draft, draftOf } from './item-fields.tsx';
import { Time } from './time.tsx';

interface Props {
  theirs: Item;
  mine: Draft;
  onTheirs: () => void;
  onMine: () => void;
}

/** Both versions of an item that was changed elsewhere meanwhile, to choose one. */
export function Conflict({ theirs, mine, onTheirs, onMine }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [theirs.version]);
  return (
    <section className="conflict" aria-labelledby="conflict-heading">
      <h3 id="conflict-heading" ref={heading} tabIndex={-1}>This item was changed elsewhere</h3>
      <p>Nothing is lost. Choose the version to keep.</p>
      <div className="versions">
        <Version name="Theirs" draft={draftOf(theirs)} note={<Time value={theirs.updated_at} />}>
          <button type="button" className="quiet" onClick={onTheirs}>Use theirs</button>
        </Version>
        <Version name="Mine" draft={mine} note={<span className="meta">Not saved</span>}>
          <button type="button" className="quiet" onClick={onMine}>Keep mine</button>
        </Version>
      </div>
    </section>
  );
}

function Version({ name, draft, note, children }: { name: string; draft: Draft; note: ReactNode; children: ReactNode }) {
  return (
    <section className="version" aria-label={name}>
      <h4>{name} {note}</h4>
      <p><strong>{draft.title}</strong></p>
      <p className="text">{draft.description || <span className="meta">No description</span>}</p>
      {children}
    </section>
  );
}
