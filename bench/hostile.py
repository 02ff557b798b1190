#!/usr/bin/env python3
"""Attacks the backend and measures what a polite caller sees; `bench/hostile` calls it.

The server runs with its default settings, but without a rate limit, so that one caller's flood does its full work. The
attackers connect from 127.0.1.x, and the polite caller from 127.0.0.1. Nothing else on loopback is attacked.
"""

import argparse
import asyncio
import base64
import contextlib
import dataclasses
import json
import math
import multiprocessing
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

from side_by_side import BENCH, CLIENT, POOL, TABLE, aws, free_port, log_file, running, table, user_pool, wait_for

# One place is for the polite caller, the others are for connections that end while new ones begin.
CONNECTIONS = 9_990
CONNECTIONS_PER_ADDRESS = 400
ACCOUNTS = 700
POLITE = b'{"title": "polite"}'


@dataclasses.dataclass(frozen=True)
class Hold:
    """Connections that send the same, read nothing, and are opened again when the server closes them."""

    count: int
    requests: list[bytes]
    receive_buffer: int | None = None


@dataclasses.dataclass(frozen=True)
class Flood:
    """64 connections that send a request as fast as they can, by `wrk`."""

    path: str
    token: str


@dataclasses.dataclass(frozen=True)
class Churn:
    """Connections that are opened and closed."""


@dataclasses.dataclass(frozen=True)
class Row:
    attack: str
    requests: int
    answered: float
    p50_ms: float
    p99_ms: float
    resident_mib: float
    kernel_mib: float


class Server:
    def __init__(self, process, url):
        self.process, self.url = process, urlsplit(url)
        self.address = self.url.hostname, self.url.port

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def main():
    options = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < CONNECTIONS + 500:
        sys.exit(f"ulimit -Hn is {hard}; {CONNECTIONS + 500} open files are needed")
    with contextlib.ExitStack() as stack:
        pool, mint = stack.enter_context(user_pool())
        environment = environment_of(pool, stack.enter_context(table(options)))
        bobs = [mint(f"bob-{number}") for number in range(ACCOUNTS)]
        with started(options, environment) as server:
            alice = mint("alice")
            rows = [measure(options, server, name, attack, alice) for name, attack in attacks(bobs).items()]
            release = seconds_until_released(server)
        stop = seconds_to_stop(options, environment)
        overload = measure_overload(options, environment, bobs)
    report(rows, release, stop, overload)
    if options.svg:
        options.svg.write_text(picture(rows))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--seconds", type=float, default=8, help="how long the polite caller is measured per attack")
    parser.add_argument("--svg", type=pathlib.Path, help="file for the picture")
    parser.add_argument("--load-core", default="0-1", help="for DynamoDB")
    return parser.parse_args()


def environment_of(pool, dynamodb):
    return {
        "COGNITO_USER_POOL_ID": POOL,
        "COGNITO_APP_CLIENT_ID": CLIENT,
        "COGNITO_ISSUER": pool,
        "COGNITO_JWKS_URL": f"{pool}/.well-known/jwks.json",
        "DYNAMODB_TABLE_NAME": TABLE,
        "RATE_LIMIT_PER_MINUTE": "0",
        **aws(dynamodb),
    }


@contextlib.contextmanager
def started(options, environment, prefix=()):
    port = free_port()
    environment = environment | {"BIND_ADDRESS": f"127.0.0.1:{port}"}
    command = [*prefix, (options.binaries / "backend").resolve()]
    with running(command, env=environment, stdout=log_file("hostile"), cwd="/") as process:
        wait_for(f"http://127.0.0.1:{port}/health/ready", process)
        yield Server(process, f"http://127.0.0.1:{port}")


def attacks(bobs):
    """The first account is Bob. Where the server counts by caller, an attack needs all of them."""
    bob = bobs[0]
    unfinished = head("GET", "/items", None)[:-2]
    part = "content-type: application/json\r\ncontent-length: 4096"
    stranger = ".".join([unknown_key(), *bob.split(".")[1:]])
    return {
        "none": None,
        "1,040 bodies of one caller never come": Hold(1040, [head("POST", "/items", bob, "content-length: 100")]),
        "one caller floods": Flood("/items", bob),
        "bad tokens flood": Flood("/items", "x.y.z"),
        "unknown key IDs flood": Flood("/items", stranger),
        "connections open and close": Churn(),
        f"{CONNECTIONS:,} idle connections": Hold(CONNECTIONS, [b""]),
        f"{CONNECTIONS:,} unfinished heads of 8 KB": Hold(CONNECTIONS, [unfinished + b"x: " + b"x" * 8000]),
        f"{CONNECTIONS:,} unfinished heads of 30 KB": Hold(CONNECTIONS, [unfinished + b"x: " + b"x" * 30_000]),
        f"{CONNECTIONS:,} unfinished bodies of 4 KiB": Hold(
            CONNECTIONS, [head("POST", "/items", token, part) + b" " * 4000 for token in bobs]
        ),
        f"{CONNECTIONS:,} unread answers": Hold(CONNECTIONS, [unread()], 4096),
        "300 unread answers": Hold(300, [unread()], 4096),
    }


def unknown_key():
    """The header of a token that names a key which nobody has."""
    header = json.dumps({"kid": "unknown", "alg": "RS256"}).encode()
    return base64.urlsafe_b64encode(header).rstrip(b"=").decode()


def unread():
    return head("GET", "/docs/swagger-ui-bundle.js", None) * 20


def head(method, path, token, extra=None):
    lines = [f"{method} {path} HTTP/1.1", "host: x"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if extra:
        lines.append(extra)
    return "\r\n".join([*lines, "", ""]).encode()


def measure(options, server, name, attack, token):
    """What a polite caller sees during the attack: a new connection for each request, one after the other."""
    print(f"{name} …", file=sys.stderr)
    kernel_before = kernel_mib()
    resident, kernel, times, failed = server.resident_mib(), 0, [], 0
    extra = f"connection: close\r\ncontent-type: application/json\r\ncontent-length: {len(POLITE)}"
    request = head("POST", "/items", token, extra) + POLITE
    with under(attack, server):
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            start = time.perf_counter()
            status = exchange(server.address, request)
            times.append(1000 * (time.perf_counter() - start))
            failed += status != b"201"
            resident, kernel = max(resident, server.resident_mib()), max(kernel, kernel_mib() - kernel_before)
            time.sleep(0.005)
    time.sleep(2)
    return Row(name, len(times), 100 * (1 - failed / len(times)), at(times, 0.5), at(times, 0.99), resident, kernel)


def at(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def exchange(address, request):
    """Returns the status of the answer, or `None` if there was none."""
    try:
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(request)
            answer = b""
            while part := client.recv(65536):
                answer += part
            return answer.split(b" ", 2)[1] if answer else None
    except OSError:
        return None


@contextlib.contextmanager
def under(attack, server):
    """Runs an attack in processes of its own, from a moment at which it has its full strength."""
    if attack is None:
        yield
        return
    if isinstance(attack, Flood):
        script = {"METHOD": "GET", "AUTHORIZATION": f"Bearer {attack.token}", "PATH": os.environ["PATH"]}
        command = ["wrk", "--threads", "1", "--connections", "64", "--duration", "1h", "--script", BENCH / "load.lua"]
        process = subprocess.Popen(
            [*command, server.url.geturl() + attack.path], env=script, stdout=subprocess.DEVNULL
        )
        time.sleep(1)
    else:
        process = multiprocessing.Process(target=run_attack, args=(attack, server.address), daemon=True)
        process.start()
        # Until all connections are open, and those beyond a limit have been closed for the first time.
        time.sleep(2 + getattr(attack, "count", 0) / 1000)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait() if isinstance(process, subprocess.Popen) else process.join()


def run_attack(attack, address):
    async def run():
        if isinstance(attack, Churn):
            await asyncio.gather(*(churn(address) for _ in range(64)))
        else:
            await asyncio.gather(*(hold(attack, number, address) for number in range(attack.count)))

    asyncio.run(run())


async def hold(attack, number, address):
    loop = asyncio.get_running_loop()
    request = attack.requests[number % len(attack.requests)]
    while True:
        with socket.socket() as client, contextlib.suppress(OSError):
            client.setblocking(False)
            client.bind((f"127.0.1.{1 + number // CONNECTIONS_PER_ADDRESS}", 0))
            if attack.receive_buffer:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, attack.receive_buffer)
            await loop.sock_connect(client, address)
            await loop.sock_sendall(client, request)
            if attack.receive_buffer:
                # Unread bytes hide the end of the connection.
                while client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    await asyncio.sleep(1)
            while await loop.sock_recv(client, 65536):
                pass
        await asyncio.sleep(0.5)


async def churn(address):
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(*address)
            writer.close()
        await asyncio.sleep(0)


def kernel_mib():
    """The memory of all TCP sockets of this machine, clients' included."""
    sockets = pathlib.Path("/proc/net/sockstat").read_text()
    return int(re.search(r"TCP:.* mem (\d+)", sockets)[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def unread_answers(server):
    clients = []
    for number in range(300):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.bind((f"127.0.1.{1 + number // 100}", 0))
        client.connect(server.address)
        client.sendall(unread())
        clients.append(client)
    try:
        yield
    finally:
        for client in clients:
            client.close()


def seconds_until_released(server):
    """How long 300 answers that nobody reads, and whose connections stay open, occupy sockets of the server."""
    def count():
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    before = count()
    with unread_answers(server):
        start, most = time.monotonic(), 0
        # The first second is for the server to accept them.
        while time.monotonic() < start + 1 or (count() > before + 10 and time.monotonic() < start + 120):
            most = max(most, count() - before)
            time.sleep(0.1)
        if most < 250:
            sys.exit(f"only {most} of 300 connections were accepted")
        return time.monotonic() - start


def seconds_to_stop(options, environment):
    """How long a server takes to stop while 300 answers are unread."""
    with started(options, environment) as server, unread_answers(server):
        time.sleep(1)
        start = time.monotonic()
        server.process.terminate()
        server.process.wait(timeout=60)
        return time.monotonic() - start


@dataclasses.dataclass(frozen=True)
class Overload:
    peak: float
    goodput: float
    p99_ms: float
    rejected: float


def measure_overload(options, environment, tokens):
    """Requests a second that are answered with 200, at the best number of connections and at 4,000 of them."""
    pinned = ("taskset", "-c", "0")
    limits = {"MAX_CONNECTIONS_PER_ADDRESS": "0"}
    with started(options, environment | limits, pinned) as server, tempfile.NamedTemporaryFile("w") as file:
        # Too long for the environment.
        file.write("\n".join(tokens))
        file.flush()
        url = f"{server.url.geturl()}/items"
        peak = max(goodput(url, file.name, connections)[0] for connections in (16, 32, 64, 128, 256))
        best = max((goodput(url, file.name, 4000) for _ in range(3)), key=lambda outcome: outcome[0])
        return Overload(peak, *best)


def goodput(url, tokens, connections):
    script = {"TOKENS": tokens, "PATH": os.environ["PATH"]}
    command = ["taskset", "-c", "1", "wrk", "--threads", "1", "--connections", str(connections), "--timeout", "10s"]
    command += ["--duration", "5s", "--script", BENCH / "overload.lua", url]
    output = subprocess.run(command, env=script, check=True, capture_output=True, text=True).stdout
    done = json.loads(output.splitlines()[-1])
    rejected = done["rejected"] / max(1, done["requests"])
    return (done["requests"] - done["rejected"]) / done["microseconds"] * 1e6, done["p99_us"] / 1000, 100 * rejected


def report(rows, release, stop, overload):
    print("| attack | polite requests | answered | p50 ms | p99 ms | server's memory, MiB | kernel's, MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for row in rows:
        print(
            f"| {row.attack} | {row.requests} | {row.answered:.1f} % | {row.p50_ms:.1f} | {row.p99_ms:.1f} "
            f"| {row.resident_mib:.0f} | {row.kernel_mib:.0f} |"
        )
    print(f"\n300 unread answers are dropped after {release:.1f} s, and a server with them stops within {stop:.1f} s.")
    print(
        f"4,000 connections: {overload.goodput:,.0f} requests/s answered, {100 * overload.goodput / overload.peak:.0f} % "
        f"of the peak ({overload.peak:,.0f}); p99 {overload.p99_ms:.0f} ms; {overload.rejected:.0f} % rejected."
    )


STYLE = """<style>
text { font: 13px sans-serif; fill: #1f2328 } .good { fill: #2a7d4f } .bad { fill: #c0392b } line { stroke: #8888 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .good { fill: #3fb573 } .bad { fill: #f2726a } }
</style>"""


def picture(rows):
    """A bar of the p99 for each attack, on a logarithmic scale from 0.1 ms to 10 s."""

    def x(ms):
        return 300 + 80 * (math.log10(min(max(ms, 0.1), 10_000)) + 1)

    height = 60 + 26 * len(rows)
    parts = ['<text x="10" y="20">What a polite caller sees under attack: p99 and share of its requests answered</text>']
    for ms, name in (1, "1 ms"), (10, "10 ms"), (50, "50 ms"), (1000, "1 s"):
        parts.append(f'<line x1="{x(ms):.0f}" x2="{x(ms):.0f}" y1="32" y2="{height - 24}"/>')
        parts.append(f'<text x="{x(ms):.0f}" y="{height - 8}" text-anchor="middle">{name}</text>')
    for number, row in enumerate(rows):
        y, end = 36 + 26 * number, x(row.p99_ms)
        kind = "good" if row.answered == 100 and row.p99_ms < 50 else "bad"
        parts.append(f'<text x="290" y="{y + 14}" text-anchor="end">{row.attack}</text>')
        parts.append(f'<rect class="{kind}" x="300" y="{y}" width="{end - 300:.0f}" height="18"/>')
        parts.append(f'<text x="{end + 6:.0f}" y="{y + 14}">{row.p99_ms:.1f} ms, {row.answered:.0f} %</text>')
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="840" height="{height}" viewBox="0 0 840 {height}">'
    return "\n".join([svg, STYLE, *parts, "</svg>", ""])


if __name__ == "__main__":
    main()
