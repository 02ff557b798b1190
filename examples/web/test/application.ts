import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { Backend, Running } from './support.ts';

const WAIT = 15_000;

/** The application in a browser context of its own, with what went wrong in its page. */
export class Application {
  readonly page: Page;
  /** Violations of the content security policy, and uncaught errors. */
  readonly faults: string[] = [];
  readonly url: string;

  private constructor(page: Page, url: string) {
    this.page = page;
    this.url = url;
  }

  static async open(browser: Browser, site: Running, options: BrowserContextOptions = {}): Promise<Application> {
    const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', ...options });
    context.setDefaultTimeout(WAIT);
    return Application.inNewTab(await context.newPage(), site);
  }

  static async inNewTab(page: Page, site: Running): Promise<Application> {
    const application = new Application(page, site.url);
    page.on('pageerror', (error) => application.faults.push(String(error)));
    page.on('console', (message) => {
      if (/Content Security Policy|Refused|TrustedScript|Warning/.test(message.text())) application.faults.push(message.text());
    });
    await page.goto(site.url);
    return application;
  }

  async signIn(username: string, password: string): Promise<void> {
    await this.button('Sign in').click();
    await this.page.locator('input[name=username]').fill(username);
    await this.page.locator('input[name=password]').fill(password);
    await this.button('Sign in').click();
    await this.heading('Your items').waitFor();
  }

  button(name: string) {
    return this.page.getByRole('button', { name, exact: true });
  }

  heading(name: string) {
    return this.page.getByRole('heading', { name, exact: true });
  }

  /** The link of an item in the list. */
  item(title: string) {
    return this.page.locator('.items a', { hasText: title });
  }

  async create(title: string, description = ''): Promise<void> {
    await this.page.goto(`${this.url}/#new`);
    await this.heading('New item').waitFor();
    await this.page.getByLabel('Title').fill(title);
    await this.page.getByLabel('Description').fill(description);
    await this.button('Create item').click();
    await this.heading('Files').waitFor();
  }

  async attach(name: string, size: number): Promise<void> {
    const buffer = Buffer.alloc(size, 'x');
    await this.page.setInputFiles('input[type=file]', { name, mimeType: 'text/plain', buffer });
  }

  /** The tokens, as oidc-client-ts stores them. */
  async tokens(): Promise<{ access_token: string; refresh_token: string }> {
    const stored = await this.page.evaluate(() => {
      const key = Object.keys(localStorage).find((name) => name.startsWith('oidc.user:'));
      return key && localStorage[key];
    });
    if (typeof stored !== 'string') throw new Error('nobody is signed in');
    return JSON.parse(stored);
  }

  /** Calls the API as the signed-in user from elsewhere, as another device does. */
  async elsewhere(backend: Backend, method: string, path: string, body?: object): Promise<Response> {
    const { access_token } = await this.tokens();
    const headers = { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' };
    return fetch(backend.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
