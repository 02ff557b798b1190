import { useEffect, useState } from 'react';
import { flushSync } from 'react-dom';
import { type Api, type Item, result } from './api.ts';
import { EditItem } from './edit-item.tsx';
import { NewItemForm } from './new-item.tsx';
import { type Action, useAction } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';
import { Time } from './time.tsx';

const PAGE_SIZE = 20;

/** The list beside what is open: an item or the form for a new one. Narrow screens show one of the two. */
export function Items({ api }: { api: Api }) {
  const list = useItemList(api);
  const route = useRoute();
  const [status, setStatus] = useState('');
  const created = (item: Item) => {
    list.put(item);
    setStatus(`Created “${item.title}”.`);
    location.hash = item.id;
  };
  const deleted = (item: Item) => {
    list.remove(item.id);
    setStatus(`Deleted “${item.title}”.`);
    location.hash = '';
  };
  return (
    <div className="panes" data-open={route !== ''}>
      <section className="sheet list" aria-labelledby="list-heading">
        <div className="head">
          <h2 id="list-heading" tabIndex={-1}>Your items</h2>
          <a className="button" href="#new">New item</a>
        </div>
        <p className="visually-hidden" role="status">{status}</p>
        <ItemList list={list} selected={route} />
      </section>
      <section className="sheet detail" aria-labelledby="detail-heading">
        <a className="back" href="#">Your items</a>
        {route === '' || route === 'new'
          ? <NewItemForm api={api} onCreated={created} />
          : <EditItem key={route} api={api} id={route} onChanged={list.put} onDeleted={deleted} />}
      </section>
    </div>
  );
}

/** What the URL's fragment names: an item's ID, `new`, or nothing. A change moves the focus to what it opens. */
function useRoute(): string {
  const current = () => location.hash.slice(1);
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const follow = () => {
      flushSync(() => setRoute(current()));
      document.getElementById(current() === '' ? 'list-heading' : 'detail-heading')?.focus();
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}

interface ItemListState {
  readonly items: readonly Item[];
  readonly isComplete: boolean;
  readonly loading: Action;
  loadMore(): void;
  put(item: Item): void;
  remove(id: string): void;
}

function useItemList(api: Api): ItemListState {
  const [items, setItems] = useState<readonly Item[]>([]);
  const [cursor, setCursor] = useState<string | null>();
  const loading = useAction();
  const loadMore = () => loading.run(async () => {
    const query = { limit: PAGE_SIZE, ...(cursor ? { cursor } : {}) };
    const page = await result(api.GET('/items', { params: { query } }));
    setItems((known) => [...known, ...page.items.filter(({ id }) => known.every((item) => item.id !== id))]);
    setCursor(page.next_cursor ?? null);
  });
  useEffect(() => void loadMore(), []);
  const put = (item: Item) => setItems((known) => (
    known.some(({ id }) => id === item.id) ? known.map((old) => (old.id === item.id ? item : old)) : [item, ...known]
  ));
  const remove = (id: string) => setItems((known) => known.filter((item) => item.id !== id));
  return { items, isComplete: cursor === null, loading, loadMore, put, remove };
}

function ItemList({ list, selected }: { list: ItemListState; selected: string }) {
  const { items, isComplete, loading } = list;
  return (
    <>
      {items.length === 0 && isComplete && <p className="empty">Nothing here yet. Create your first item.</p>}
      <ul className="items" aria-busy={loading.busy}>
        {items.map((item) => (
          <li key={item.id}>
            <a href={`#${item.id}`} aria-current={item.id === selected || undefined}>
              <strong>{item.title}</strong>
              {item.description && <span className="clamp">{item.description}</span>}
              <Time value={item.updated_at} />
            </a>
          </li>
        ))}
      </ul>
      <ProblemNotice problem={loading.problem} />
      {!isComplete && (
        <button type="button" className="quiet" aria-disabled={loading.busy} onClick={list.loadMore}>
          {loading.busy ? 'Loading…' : loading.problem ? 'Try again' : 'Load more'}
        </button>
      )}
      <p className="visually-hidden" role="status">{loading.busy ? '' : `${items.length} items shown`}</p>
    </>
  );
}
