import assert from 'node:assert/strict';
import { Agent, createServer, request, type Server } from 'node:http';

/** A load balancer as simple as they come: each request to the next target, none tried twice, nothing healed. */
export class Balancer {
  /** How many requests each target was given. */
  readonly served = new Map<string, number>();
  readonly #targets: string[] = [];
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  #next = 0;

  private constructor() {
    this.#server = createServer((incoming, outgoing) => {
      const target = this.#target();
      const forwarded = request(new URL(incoming.url ?? '/', target), {
        method: incoming.method ?? 'GET',
        headers: incoming.headers,
        agent: this.#agent,
      });
      forwarded.once('response', (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      forwarded.once('error', () => outgoing.writeHead(502).end());
      incoming.pipe(forwarded);
    });
  }

  static async start(): Promise<Balancer> {
    const balancer = new Balancer();
    await new Promise<void>((resolve) => balancer.#server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  register(target: string): void {
    this.#targets.push(target);
  }

  /** Gives the target no further request; those under way go on. */
  deregister(target: string): void {
    this.#targets.splice(this.#targets.indexOf(target), 1);
  }

  stop(): void {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #target(): string {
    const target = this.#targets[this.#next++ % this.#targets.length];
    assert.ok(target, 'no target is registered');
    this.served.set(target, (this.served.get(target) ?? 0) + 1);
    return target;
  }
}
