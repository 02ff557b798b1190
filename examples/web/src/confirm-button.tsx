import { type ReactNode, useId, useRef } from 'react';
import { useAction } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';

interface Props {
  /** The button that opens the dialog. */
  label: ReactNode;
  question: string;
  explanation: string;
  confirm: string;
  onConfirm: () => Promise<void>;
}

/** A button that asks before it does what cannot be undone. */
export function ConfirmButton({ label, question, explanation, confirm, onConfirm }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const action = useAction();
  const run = () => action.run(async () => {
    await onConfirm();
    dialog.current?.close();
  });
  return (
    <>
      <button type="button" className="quiet danger" onClick={() => dialog.current?.showModal()}>{label}</button>
      <dialog ref={dialog} aria-labelledby={heading}>
        <h3 id={heading}>{question}</h3>
        <p>{explanation}</p>
        <ProblemNotice problem={action.problem} />
        <div className="actions">
          <button type="button" className="quiet" onClick={() => dialog.current?.close()}>Cancel</button>
          <button type="button" className="danger" aria-disabled={action.busy} onClick={run}>{confirm}</button>
        </div>
      </dialog>
    </>
  );
}
