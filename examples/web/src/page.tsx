import type { ReactNode } from 'react';

export function Page({ account, children }: { account?: ReactNode; children: ReactNode }) {
  return (
    <>
      <header className="strip">
        <img src="/icon.svg" alt="" />
        <h1>Items</h1>
        {account}
      </header>
      <main>{children}</main>
    </>
  );
}
