#!/usr/bin/env node
// A browser that signs in: `browser.mjs <URL of the authorization request>`, as `xdg-open` is called. It approves on the
// consent page, signs in on the hosted UI, and follows the redirects to the client.
// MCP_USER and MCP_PASSWORD say as whom.

/** Cookies belong to a host, whatever its port. */
const cookies = new Map();

async function send(url, form) {
    const jar = cookies.get(url.hostname) ?? new Map();
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
    const options = { headers, redirect: 'manual', signal: AbortSignal.timeout(20_000) };
    if (form) Object.assign(options, { method: 'POST', body: form, headers: { ...headers, origin: url.origin } });
    const response = await fetch(url, options);
    for (const cookie of response.headers.getSetCookie()) {
        const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
        cookies.set(url.hostname, jar.set(name, value));
    }
    return response;
}

function unescape(text) {
    return text.replaceAll('&amp;', '&').replaceAll('&#38;', '&').replaceAll('&#x2F;', '/');
}

/** The form of a page with the fields that it has already. */
function form(html) {
    const [, attributes, content] = html.match(/<form([^>]*)>(.*?)<\/form>/s) ?? [];
    if (content === undefined) throw new Error(`no form in: ${html.slice(0, 500)}`);
    const fields = new URLSearchParams();
    for (const [input] of content.matchAll(/<input[^>]*>/g)) {
        const attribute = (name) => unescape(input.match(new RegExp(` ${name}="([^"]*)"`))?.[1] ?? '');
        fields.set(attribute('name'), attribute('value'));
    }
    return { action: unescape(attributes.match(/ action="([^"]*)"/)?.[1] ?? ''), fields };
}

export async function signIn(start) {
    let url = new URL(start);
    let response = await send(url);
    for (let step = 0; step < 12; step++) {
        if (response.status >= 300 && response.status < 400) {
            url = new URL(response.headers.get('location'), url);
            response = await send(url);
            continue;
        }
        const html = await response.text();
        if (response.status >= 400) throw new Error(`${response.status} ${url.origin}${url.pathname}: ${html}`);
        if (!html.includes('<form')) return;
        const { action, fields } = form(html);
        if (fields.has('sealed')) fields.set('decision', 'allow');
        if (fields.has('password')) {
            fields.set('username', process.env.MCP_USER);
            fields.set('password', process.env.MCP_PASSWORD);
        }
        url = new URL(action || url, url);
        response = await send(url, fields);
    }
    throw new Error('the sign-in does not end');
}

if (import.meta.main) await signIn(process.argv[2]);
