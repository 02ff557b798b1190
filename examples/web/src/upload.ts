import type { components } from './api.gen.d.ts';
import { ApiError, unreachable } from './problem.ts';

type PresignedRequest = components['schemas']['PresignedRequest'];

/** Uploads a file with a presigned request. `fetch` cannot report progress. */
export function upload(
  { method, url, headers }: PresignedRequest,
  file: File,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) {
      // The browser sends the length itself, and does not let a page set it.
      if (name.toLowerCase() !== 'content-length') request.setRequestHeader(name, value);
    }
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 1);
    request.onload = () => (request.status < 300 ? resolve() : reject(new ApiError(rejected(request.status))));
    request.onerror = () => reject(new ApiError(unreachable('The file storage')));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

function rejected(status: number) {
  const detail = `The file storage rejected the upload with status ${status}. Try again.`;
  return { status, title: 'Upload rejected', detail };
}
