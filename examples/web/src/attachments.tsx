import { type ChangeEvent, useEffect, useState } from 'react';
import { type Api, type Attachment, result } from './api.ts';
import { ConfirmButton } from './confirm-button.tsx';
import { useAction } from './problem.ts';
import { ProblemNotice } from './problem-notice.tsx';
import { upload } from './upload.ts';

interface Upload {
  readonly name: string;
  /** From 0 to 1. */
  readonly share: number;
  cancel(): void;
}

export function Attachments({ api, itemId }: { api: Api; itemId: string }) {
  const [files, setFiles] = useState<readonly Attachment[]>();
  const [running, setRunning] = useState<Upload>();
  const [status, setStatus] = useState('');
  const loading = useAction();
  const uploading = useAction();
  const downloading = useAction();

  const item = { id: itemId };
  const list = async () => {
    const found = await result(api.GET('/items/{id}/attachments', { params: { path: item } }));
    setFiles(found.attachments);
  };
  useEffect(() => void loading.run(list), []);

  const remove = async ({ id, filename }: Attachment) => {
    await result(api.DELETE('/items/{id}/attachments/{attachment_id}', { params: { path: { ...item, attachment_id: id } } }));
    setStatus(`Deleted ${filename}.`);
    await list();
  };
  const download = (attachment_id: string) => downloading.run(async () => {
    const path = { ...item, attachment_id };
    const found = await result(api.GET('/items/{id}/attachments/{attachment_id}', { params: { path } }));
    location.assign(found.download.url); // The response is an attachment, so the page stays.
  });
  const attach = (file: File) => uploading.run(async () => {
    const body = { filename: file.name, content_type: file.type || 'application/octet-stream', size: file.size };
    const created = await result(api.POST('/items/{id}/attachments', { params: { path: item }, body }));
    const controller = new AbortController();
    const show = (share: number) => setRunning({ name: file.name, share, cancel: () => controller.abort() });
    show(0);
    setStatus('');
    try {
      await upload(created.upload, file, show, controller.signal);
      setStatus(`Attached ${file.name}.`);
    } catch (error) {
      await remove(created);
      if (!controller.signal.aborted) throw error;
      setStatus(`Cancelled ${file.name}.`);
    } finally {
      setRunning(undefined);
    }
    await list();
  });
  const choose = ({ target }: ChangeEvent<HTMLInputElement>) => {
    const [file] = target.files ?? [];
    target.value = ''; // So that the same file can be chosen again.
    if (file) void attach(file);
  };

  return (
    <section className="attachments" aria-labelledby="files-heading">
      <h3 id="files-heading">Files</h3>
      <ProblemNotice problem={uploading.problem ?? downloading.problem ?? loading.problem} />
      {files?.length === 0 && !running && <p className="meta">Receipts, photos, anything up to 256 MiB.</p>}
      <ul>
        {files?.map((file) => (
          <li key={file.id}>
            <span className="filename">{file.filename} <span className="meta">{size(file.size)}</span></span>
            <button type="button" className="quiet small" onClick={() => download(file.id)}>
              Download<span className="visually-hidden"> {file.filename}</span>
            </button>
            <ConfirmButton
              label={<>Delete<span className="visually-hidden"> {file.filename}</span></>} confirm="Delete file"
              question={`Delete ${file.filename}?`} explanation="This cannot be undone." onConfirm={() => remove(file)}
            />
          </li>
        ))}
      </ul>
      {running
        ? <Progress upload={running} />
        : (
          <label className="button quiet">
            Attach a file
            <input className="visually-hidden" type="file" onChange={choose} />
          </label>
        )}
      <p className="status" role="status">{status}</p>
    </section>
  );
}

function Progress({ upload: { name, share, cancel } }: { upload: Upload }) {
  const percent = Math.floor(share * 100);
  return (
    <div className="progress">
      <label htmlFor="upload">{name}</label>
      <span className="meta">{percent} %</span>
      <progress id="upload" value={percent} max={100} />
      <button type="button" className="quiet small" onClick={cancel}>Cancel</button>
    </div>
  );
}

const UNITS = ['byte', 'kilobyte', 'megabyte'] as const;

function size(bytes: number): string {
  const power = Math.min(bytes === 0 ? 0 : Math.floor(Math.log10(bytes) / 3), 2);
  const format = new Intl.NumberFormat(undefined, { style: 'unit', unit: UNITS[power], maximumFractionDigits: 1 });
  return format.format(bytes / 1000 ** power);
}
