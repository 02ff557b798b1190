// Adds a token to every request, for a client that cannot: `proxy.mjs <origin> <file with the token>`. Prints its port.

import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';

const [origin, tokenFile] = process.argv.slice(2);
const authorization = `Bearer ${readFileSync(tokenFile, 'utf8')}`;

const server = createServer((incoming, outgoing) => {
    const own = incoming.headers.host === `localhost:${server.address().port}`;
    // A foreign `Host` or `Origin` is what some scenarios are about.
    const headers = { ...incoming.headers, authorization, host: own ? new URL(origin).host : incoming.headers.host };
    if (headers.origin === `http://localhost:${server.address().port}`) headers.origin = origin;
    const forwarded = request(new URL(incoming.url, origin), { method: incoming.method, headers }, (response) => {
        outgoing.writeHead(response.statusCode, response.headers);
        response.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
});
server.listen(0, 'localhost', () => console.log(server.address().port));
