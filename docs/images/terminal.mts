import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, dirname } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { type Backend, type Page, programPath } from '../../examples/web/test/support.ts';

const COLUMNS = 88;
const LINE_HEIGHT = 21;
const PADDING = 20;
const TITLE_BAR = 34;
/** The foreground colours of SGR, on a dark background. */
const COLOURS: Record<string, string> = {
  31: '#ffa094', 32: '#8ed2ad', 33: '#e5c890', 34: '#9cc4f0', 35: '#d8b4e8', 36: '#8fd6d6', 90: '#8b9389',
};

/** A terminal session with the real program `items`, as text and as a picture. */
export class Terminal {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #lines: string[] = [];

  constructor(backend: Backend, home: string) {
    this.#environment = {
      HOME: home,
      PATH: [dirname(programPath('items')), process.env['PATH']].join(delimiter),
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      ITEMS_TOKEN_STORE: 'file',
      ITEMS_API_URL: backend.url,
      ITEMS_DOMAIN: backend.userPool,
      ITEMS_ISSUER: `${backend.userPool}/us-east-1_LocalPool`,
    };
  }

  /** Signs in with a browser that is signed in at the user pool already. */
  async signIn(page: Page): Promise<void> {
    const login = spawn('items', ['login', '--no-browser'], { env: this.#environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(login, 'exit', { signal: AbortSignal.timeout(30_000) });
    await page.goto(await firstUrl(login));
    await exited;
  }

  /** Runs a command as somebody who types it, and returns what it printed. */
  async run(command: string): Promise<string> {
    // `script` gives the program a terminal, so that it prints tables and colours.
    const inTerminal = `stty cols ${COLUMNS} rows 40; ${command}`;
    const { stdout } = await promisify(execFile)('script', ['-qec', inTerminal, '/dev/null'], {
      env: this.#environment,
      timeout: 30_000,
    });
    this.#lines.push(`\x1b[32m$\x1b[0m \x1b[1m${command}\x1b[0m`, ...stdout.trimEnd().split(/\r?\n/));
    return stripVTControlCharacters(stdout);
  }

  text(): string {
    return stripVTControlCharacters(this.#lines.join('\n'));
  }

  svg(): string {
    const width = PADDING * 2 + COLUMNS * 8.43;
    const height = TITLE_BAR + PADDING + this.#lines.length * LINE_HEIGHT;
    const lines = this.#lines.map((line, row) => {
      const y = TITLE_BAR + (row + 0.8) * LINE_HEIGHT;
      return `<text x="${PADDING}" y="${y.toFixed(1)}">${runs(line)}</text>`;
    });
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${Math.ceil(width)} ${height}" role="img" aria-label="A terminal session with items">
<style>text { font: 14px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #edece5; white-space: pre; }</style>
<rect width="100%" height="100%" rx="10" fill="#1a1e1b"/>
<circle cx="20" cy="18" r="5" fill="#3a413b"/><circle cx="37" cy="18" r="5" fill="#3a413b"/><circle cx="54" cy="18" r="5" fill="#3a413b"/>
${lines.join('\n')}
</svg>
`;
  }
}

/** Text with SGR sequences as spans. */
function runs(line: string): string {
  let style = '';
  return line.split(/(\x1b\[[\d;]*m)/).map((part) => {
    const codes = /^\x1b\[([\d;]*)m$/.exec(part);
    if (codes === null) return part === '' ? '' : `<tspan${style}>${escape(part)}</tspan>`;
    for (const code of (codes[1] || '0').split(';')) {
      if (code === '0') style = '';
      else if (code === '1') style += ' font-weight="600"';
      else if (code === '2') style += ' fill="#8b9389"';
      else if (COLOURS[code]) style += ` fill="${COLOURS[code]}"`;
    }
    return '';
  }).join('');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function firstUrl(program: ChildProcess): Promise<string> {
  let printed = '';
  return new Promise((resolve, reject) => {
    for (const stream of [program.stdout, program.stderr]) {
      stream?.on('data', (chunk) => {
        printed += chunk;
        const [url] = /https?:\/\/\S+\?\S+\s/.exec(printed) ?? [];
        if (url) resolve(url.trim());
      });
    }
    program.once('exit', () => reject(new Error(`items login printed no URL: ${printed}`)));
  });
}
