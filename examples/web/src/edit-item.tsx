import { type FormEvent, useEffect, useState } from 'react';
import { type Api, etag, type Item, result } from './api.ts';
import { Attachments } from './attachments.tsx';
import { Conflict } from './conflict.tsx';
import { ConfirmButton } from './confirm-button.tsx';
import { bodyOf, type Draft, draftOf, EMPTY, ItemFields } from './item-fields.tsx';
import { ApiError, useAction } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';

interface Props {
  api: Api;
  id: string;
  onChanged: (item: Item) => void;
  onDeleted: (item: Item) => void;
}

export function EditItem({ api, id, onChanged, onDeleted }: Props) {
  /** The version that the user's changes are based on. */
  const [base, setBase] = useState<Item>();
  /** A newer version that somebody else wrote. */
  const [theirs, setTheirs] = useState<Item>();
  const [draft, setDraft] = useState<Draft>(EMPTY);
  const [status, setStatus] = useState('');
  const loading = useAction();
  const saving = useAction();

  const params = { path: { id } };
  const fetchItem = () => result(api.GET('/items/{id}', { params }));
  const show = (item: Item) => {
    setBase(item);
    setDraft(draftOf(item));
    setTheirs(undefined);
    onChanged(item);
  };
  useEffect(() => void loading.run(async () => show(await fetchItem())), []);

  /** Writes the draft over `version`, and fails if the item has another version by now. */
  const save = (version: Item) => saving.run(async () => {
    setStatus('');
    const header = { 'If-Match': etag(version) };
    try {
      show(await result(api.PUT('/items/{id}', { params: { ...params, header }, body: bodyOf(draft) })));
      setStatus('Saved.');
    } catch (error) {
      if (!isConflict(error)) throw error;
      setTheirs(await fetchItem());
    }
  });
  const remove = async (version: Item) => {
    const header = { 'If-Match': etag(version) };
    try {
      await result(api.DELETE('/items/{id}', { params: { ...params, header } }));
      onDeleted(version);
    } catch (error) {
      if (!isConflict(error)) throw error;
      setTheirs(await fetchItem());
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (base) void save(base);
  };

  return (
    <>
      <h2 id="detail-heading" tabIndex={-1}>Edit item</h2>
      <ProblemNotice problem={loading.problem} />
      {base && (
        <>
          <form onSubmit={submit} noValidate>
            <ItemFields draft={draft} onChange={setDraft} problem={saving.problem} />
            {theirs
              ? <Conflict theirs={theirs} mine={draft} onTheirs={() => show(theirs)} onMine={() => save(theirs)} />
              : (
                <div className="actions">
                  <button type="submit" aria-disabled={saving.busy}>Save</button>
                  <ConfirmButton
                    label="Delete" question={`Delete “${base.title}”?`} confirm="Delete item"
                    explanation="Its files are deleted, too. This cannot be undone." onConfirm={() => remove(base)}
                  />
                  <p className="status" role="status">{status}</p>
                </div>
              )}
          </form>
          <Attachments api={api} itemId={id} />
        </>
      )}
    </>
  );
}

function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.problem.status === 412;
}
