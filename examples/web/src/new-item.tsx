import { type FormEvent, useRef, useState } from 'react';
import { type Api, type Item, type NewItem, result } from './api.ts';
import { bodyOf, EMPTY, ItemFields } from './item-fields.tsx';
import { useAction } from './problem.ts';

export function NewItemForm({ api, onCreated }: { api: Api; onCreated: (item: Item) => void }) {
  const [draft, setDraft] = useState(EMPTY);
  const keyFor = useIdempotencyKey();
  const create = useAction();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void create.run(async () => {
      const body = bodyOf(draft);
      const params = { header: { 'Idempotency-Key': keyFor(body) } };
      const item = await result(api.POST('/items', { params, body }));
      setDraft(EMPTY);
      onCreated(item);
    });
  };
  return (
    <form onSubmit={submit} noValidate>
      <h2 id="detail-heading" tabIndex={-1}>New item</h2>
      <ItemFields draft={draft} onChange={setDraft} problem={create.problem} />
      <div className="actions">
        <button type="submit" aria-disabled={create.busy}>Create item</button>
      </div>
    </form>
  );
}

/** One key for the same content, so that trying again after a lost response does not create a second item. */
function useIdempotencyKey() {
  const last = useRef({ content: '', key: '' });
  return (body: NewItem) => {
    const content = JSON.stringify(body);
    if (last.current.content !== content) last.current = { content, key: crypto.randomUUID() };
    return last.current.key;
  };
}
