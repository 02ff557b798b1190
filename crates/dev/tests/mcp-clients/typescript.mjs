// The official TypeScript client, which knows only the URL: `typescript.mjs <URL> <file for the access token>`.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { signIn } from './browser.mjs';

const [url, tokenFile] = process.argv.slice(2);

/** Waits at a port of its own for the response of a sign-in. */
async function listen() {
    let received;
    const parameters = new Promise((resolve) => (received = resolve));
    const server = createServer((request, response) => {
        received(new URL(request.url, 'http://localhost').searchParams);
        response.end('You can close this page.');
    });
    await new Promise((resolve) => server.listen(0, 'localhost', resolve));
    return { redirectUrl: `http://localhost:${server.address().port}/callback`, parameters, server };
}

/** What the client keeps, and how it opens a browser. */
function provider(redirectUrl) {
    const kept = {};
    return {
        kept,
        redirectUrl,
        clientMetadata: { client_name: 'TypeScript', redirect_uris: [redirectUrl] },
        clientInformation: () => kept.client,
        saveClientInformation: (client) => (kept.client = client),
        tokens: () => kept.tokens,
        saveTokens: (tokens) => (kept.tokens = tokens),
        codeVerifier: () => kept.verifier,
        saveCodeVerifier: (verifier) => (kept.verifier = verifier),
        redirectToAuthorization: (authorizationUrl) => (kept.browser = signIn(authorizationUrl)),
    };
}

async function connect() {
    const { redirectUrl, parameters, server } = await listen();
    const authProvider = provider(redirectUrl);
    const first = new StreamableHTTPClientTransport(new URL(url), { authProvider });
    await assert.rejects(new Client({ name: 'test', version: '1' }).connect(first), UnauthorizedError);
    await authProvider.kept.browser;
    await first.finishAuth(await parameters);
    server.close();
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));
    return { client, tokens: authProvider.kept.tokens };
}

// Two clients at two ports, of which Cognito knows neither.
for (let round = 0; round < 2; round++) {
    const { client, tokens } = await connect();
    const { tools } = await client.listTools();
    assert.equal(tools.length, 8);
    const call = async (name, values) => {
        const result = await client.callTool({ name, arguments: values });
        assert.ok(!result.isError, JSON.stringify(result));
        return result.structuredContent;
    };
    const item = await call('create_item', { title: `TypeScript ${round}` });
    assert.equal((await call('read_item', { id: item.id })).title, item.title);
    const { resources } = await client.listResources();
    assert.ok(resources.some(({ uri }) => uri === `items://${item.id}`));
    const wrong = await client.callTool({ name: 'create_item', arguments: { title: '' } });
    assert.ok(wrong.isError && wrong.content[0].text.includes('must have 1 to 200 characters'));
    assert.deepEqual(await call('delete_item', { id: item.id, version: item.version }), { id: item.id });
    await client.close();
    await writeFile(tokenFile, tokens.access_token);
}
console.log('TypeScript: signed in twice, from two ports');
