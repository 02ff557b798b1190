"""The official Python client, which knows only the URL: python.py <URL>."""

import asyncio
import os
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


class Storage:
    """Keeps tokens and registration in memory."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def main(url):
    received = asyncio.get_running_loop().create_future()

    async def respond(reader, writer):
        path = (await reader.readline()).split()[1].decode()
        if not received.done():
            received.set_result(parse_qs(urlsplit(path).query))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(respond, "localhost", 0)
    port = server.sockets[0].getsockname()[1]

    async def open_browser(authorization_url):
        browser = os.path.join(os.path.dirname(__file__), "browser.mjs")
        await asyncio.to_thread(subprocess.run, ["node", browser, authorization_url], check=True, timeout=60)

    async def wait_for_code():
        query = {name: values[0] for name, values in (await received).items()}
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))

    metadata = OAuthClientMetadata(client_name="Python", redirect_uris=[f"http://localhost:{port}/callback"])
    auth = OAuthClientProvider(url, metadata, Storage(), open_browser, wait_for_code)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with streamable_http_client(url, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                assert len((await session.list_tools()).tools) == 8
                created = await session.call_tool("create_item", {"title": "Python"})
                item = created.structured_content
                assert item["title"] == "Python", created
                deleted = await session.call_tool("delete_item", {"id": item["id"], "version": 1})
                assert not deleted.is_error, deleted
    print("Python: signed in from a port of its own")


asyncio.run(main(sys.argv[1]))
