#!/usr/bin/env python3
"""Loads the backend and the FastAPI server in turn and prints what each request took; `bench/run` calls it.

One core serves, another one makes the requests and holds the table. The server that is not measured sleeps.
"""

import argparse
import contextlib
import dataclasses
import datetime
import http.server
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid

import boto3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

BENCH = pathlib.Path(__file__).parent
POOL, CLIENT, TABLE, REGION = "us-east-1_BenchPool", "benchclient", "bench", "us-east-1"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
ITEM = {"title": "Buy milk", "description": "Two litres of it, and a loaf of bread from the baker at the corner."}
# More than a page.
ITEMS = 25
COUNTED_REQUESTS = 20
WARM_UP_SECONDS = 1
# What is measured besides the routes of both servers.
SAMPLES, BARE = "FastAPI, as in samples", "GetItem of the SDK alone"
# What uvicorn takes where it is installed by its plain name, as most samples do.
PLAIN_UVICORN = ["--loop", "asyncio", "--http", "h11"]
START_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Route:
    name: str
    method: str
    path: str
    token: str | None = None
    body: str | None = None


@dataclasses.dataclass(frozen=True)
class Phase:
    """What one server did in a few seconds."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float


class Server:
    """One of the two that are compared."""

    def __init__(self, name, process, url, dynamodb_calls):
        self.name, self.process, self.url = name, process, url
        self.dynamodb_calls = dynamodb_calls

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        return sum(map(int, stat.rsplit(") ", 1)[1].split()[11:13])) / TICKS_PER_SECOND

    def megabytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        pool, mint = stack.enter_context(user_pool())
        dynamodb = stack.enter_context(table(options))
        environment = {
            "COGNITO_USER_POOL_ID": POOL,
            "COGNITO_APP_CLIENT_ID": CLIENT,
            "COGNITO_ISSUER": pool,
            "COGNITO_JWKS_URL": f"{pool}/.well-known/jwks.json",
            "DYNAMODB_TABLE_NAME": TABLE,
            **aws(dynamodb),
        }
        backend = stack.enter_context(start_backend(options, environment))
        fastapi = stack.enter_context(start_fastapi("FastAPI", options, environment))
        samples = stack.enter_context(start_fastapi(SAMPLES, options, environment, PLAIN_UVICORN))
        servers = [backend, fastapi]
        time.sleep(2)
        at_rest = {server.name: server.megabytes() for server in servers}
        alice, bob = mint("alice"), mint("bob")
        ids = [ask(f"{backend.url}/items", alice, ITEM)["id"] for _ in range(ITEMS)]
        routes = [
            Route("GET /health/live", "GET", "/health/live"),
            Route("GET /users/me", "GET", "/users/me", alice),
            Route("GET /items/{id}", "GET", f"/items/{ids[0]}", alice),
            Route("GET /items", "GET", "/items", alice),
            # Another user, so that what is listed stays the same.
            Route("POST /items", "POST", "/items", bob, json.dumps(ITEM)),
        ]
        sample = Route("GET /users/me", "GET", "/samples/users/me", alice)
        check_answers(servers, routes)
        if ask(samples.url + sample.path, alice) != ask(f"{fastapi.url}/users/me", alice):
            sys.exit(f"{sample.path} answers something else than /users/me")
        calls = {(server.name, route.name): dynamodb_calls(server, route) for server in servers for route in routes}
        found = {(server.name, route.name): [] for server in servers for route in routes}
        found[SAMPLES, sample.name], found[BARE] = [], []
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            # What is compared by its ratio is measured in a row: on a machine with other work, no two minutes are alike.
            for route in routes:
                found[backend.name, route.name].append(load(options, backend, route))
                if route.name == "GET /items/{id}":
                    key = f"USER#{POOL}#{sub_of('alice')}", f"ITEM#{route.path.removeprefix('/items/')}"
                    found[BARE].append(get_item_loop(options, environment, *key))
            for route in routes:
                found[fastapi.name, route.name].append(load(options, fastapi, route))
            found[SAMPLES, sample.name].append(load(options, samples, sample))
        after = {server.name: server.megabytes() for server in servers}
    report_routes(options, routes, found, calls)
    report_targets(options, found, at_rest, after)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--seconds", type=int, default=2, help="how long a phase takes")
    parser.add_argument("--rounds", type=int, default=9, help="how often each is measured; the median is shown")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--log", choices=["warn", "info"], default="warn", help="info: each server logs each request to a file")
    parser.add_argument("--server-core", default="0")
    parser.add_argument("--load-core", default="1", help="for wrk and DynamoDB")
    return parser.parse_args()


@contextlib.contextmanager
def user_pool():
    """Serves a key set as Cognito does; gives the issuer and what signs access tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in jwk.construct(pem, "RS256").public_key().to_dict().items()
    }
    key_set = json.dumps({"keys": [public | {"kid": "bench", "use": "sig"}]}).encode()

    class KeySet(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(key_set)))
            self.end_headers()
            self.wfile.write(key_set)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), KeySet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    issuer = f"http://127.0.0.1:{server.server_port}/{POOL}"

    def mint(username):
        now = int(time.time())
        claims = {
            "sub": sub_of(username),
            "cognito:groups": ["admins"],
            "iss": issuer,
            "version": 2,
            "client_id": CLIENT,
            "origin_jti": str(uuid.uuid4()),
            "event_id": str(uuid.uuid4()),
            "token_use": "access",
            "scope": "openid items/read items/write",
            "auth_time": now,
            "exp": now + 3600,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "username": username,
        }
        return jwt.encode(claims, pem, "RS256", {"kid": "bench"})

    try:
        yield issuer, mint
    finally:
        server.shutdown()


def sub_of(username):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, username))


@contextlib.contextmanager
def table(options):
    command = ["taskset", "-c", options.load_core, options.binaries / "bench-dynamodb"]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        client = boto3.client(
            "dynamodb", endpoint_url=url, region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local-secret"
        )
        keys = {"pk": "HASH", "sk": "RANGE"}
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        )
        yield url


def aws(dynamodb):
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextlib.contextmanager
def start_backend(options, environment):
    port, metrics_port = free_port(), free_port()
    environment = environment | {
        "BIND_ADDRESS": f"127.0.0.1:{port}",
        "METRICS_ADDRESS": f"127.0.0.1:{metrics_port}",
        "RATE_LIMIT_PER_MINUTE": "0",
        "CONCURRENT_REQUESTS_PER_CALLER": "1000",
        "MAX_CONNECTIONS_PER_ADDRESS": "0",
        "RUST_LOG": options.log,
    }

    def dynamodb_calls():
        text = fetch(f"http://127.0.0.1:{metrics_port}/metrics")
        return sum(float(count) for count in re.findall(r"^dynamodb_calls_total\{.*\} (\S+)$", text, re.MULTILINE))

    command = ["taskset", "-c", options.server_core, (options.binaries / "backend").resolve()]
    with running(command, env=environment, stdout=log_file("backend"), cwd="/") as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health/ready", process)
        yield Server("backend", process, url, dynamodb_calls)


@contextlib.contextmanager
def start_fastapi(name, options, environment, arguments=()):
    port = free_port()
    level = {"warn": "warning", "info": "info"}[options.log]
    command = ["taskset", "-c", options.server_core, sys.executable, "-B", "-m", "uvicorn", "main:app"]
    command += ["--port", str(port), "--workers", "1", "--log-level", level, *arguments]
    log = log_file(name.lower().replace(", ", "-").replace(" ", "-"))
    with running(command, env=environment, stdout=log, cwd=BENCH / "fastapi") as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health/live", process)
        yield Server(name, process, url, lambda: int(fetch(f"{url}/calls")))


def log_file(name):
    return open(pathlib.Path(tempfile.gettempdir()) / f"bench-{name}.log", "w")


@contextlib.contextmanager
def running(command, **how):
    process = subprocess.Popen(command, **how)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def wait_for(url, process):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"{process.args} ended with {process.returncode}")
        with contextlib.suppress(OSError):
            fetch(url)
            return
        time.sleep(0.1)
    sys.exit(f"{url} did not answer in {START_SECONDS} s")


def fetch(url, token=None, body=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers | {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def ask(url, token, body=None):
    return json.loads(fetch(url, token, body))


def check_answers(servers, routes):
    """Both must do the same work: a server that says less would be faster."""
    for route in routes:
        if route.token is None:
            continue
        body = json.loads(route.body) if route.body else None
        first, second = (ask(server.url + route.path, route.token, body) for server in servers)
        if route.method == "GET" and route.path.startswith("/items"):
            for answer in first, second:
                answer.pop("next_cursor", None)
            if first != second:
                sys.exit(f"{route.name}: the servers answer differently:\n{first}\n{second}")
        elif missing := {"sub", "groups", "scopes", "id", "title"} & first.keys() - second.keys():
            sys.exit(f"{route.name}: the answer of FastAPI lacks {missing}")


def dynamodb_calls(server, route):
    """One request after the other, as `wrk` does not say how many it left unfinished."""
    before = server.dynamodb_calls()
    for _ in range(COUNTED_REQUESTS):
        fetch(server.url + route.path, route.token, json.loads(route.body) if route.body else None)
    return (server.dynamodb_calls() - before) / COUNTED_REQUESTS


def load(options, server, route):
    wrk(options, server, route, WARM_UP_SECONDS)
    cpu = server.cpu_seconds()
    done = wrk(options, server, route, options.seconds)
    requests = done["requests"]
    if done["failed"] or not requests:
        sys.exit(f"{server.name}, {route.name}: {done['failed']} of {requests} requests failed")
    return Phase(
        requests_per_second=requests / done["microseconds"] * 1e6,
        p50_us=done["p50_us"],
        p99_us=done["p99_us"],
        cpu_us=(server.cpu_seconds() - cpu) / requests * 1e6,
    )


def wrk(options, server, route, seconds):
    environment = {"METHOD": route.method, "PATH": os.environ["PATH"]}
    if route.token:
        environment["AUTHORIZATION"] = f"Bearer {route.token}"
    if route.body:
        environment["BODY"] = route.body
    command = ["taskset", "-c", options.load_core, "wrk", "--threads", "1", "--connections", str(options.connections)]
    command += ["--duration", f"{seconds}s", "--script", BENCH / "load.lua", server.url + route.path]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def get_item_loop(options, environment, partition_key, sort_key):
    command = ["taskset", "-c", options.server_core, options.binaries / "get-item-loop", TABLE, partition_key, sort_key]
    command += [str(options.seconds), str(options.connections)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    done = json.loads(output)
    return done["cpu_seconds"] / done["requests"] * 1e6


def median(phases):
    columns = zip(*(dataclasses.astuple(phase) for phase in phases), strict=True)
    return Phase(*(statistics.median(column) for column in columns))


def report_routes(options, routes, found, calls):
    print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, log level {options.log}, ", end="")
    print(f"{options.connections} connections, median of {options.rounds} × {options.seconds} s, ", end="")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| route | server | requests/s | p50 ms | p99 ms | CPU µs/request | DynamoDB calls/request |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for route in routes:
        for name in "backend", "FastAPI", SAMPLES:
            if (name, route.name) not in found:
                continue
            phase = median(found[name, route.name])
            print(
                f"| `{route.name}` | {name} | {phase.requests_per_second:,.0f} | {phase.p50_us / 1000:.2f} | {phase.p99_us / 1000:.2f} "
                f"| {phase.cpu_us:.1f} | {calls.get((name, route.name), 0):g} |"
            )


def report_targets(options, found, at_rest, after):
    live, me, item = (found["backend", name] for name in ("GET /health/live", "GET /users/me", "GET /items/{id}"))
    tuned, sample, bare = found["FastAPI", "GET /users/me"], found[SAMPLES, "GET /users/me"], found[BARE]
    size = (options.binaries / "backend").stat().st_size / 1e6

    def ratio(value, phases, others):
        """The median of the ratios of the rounds."""
        return statistics.median(value(phase) / value(other) for phase, other in zip(phases, others, strict=True))

    def speed(phases, others):
        return ratio(lambda phase: phase.requests_per_second, phases, others)

    def cpu(phases, others):
        return ratio(lambda phase: phase.cpu_us, phases, others)

    alone = [dataclasses.replace(public, cpu_us=public.cpu_us + loop) for public, loop in zip(live, bare, strict=True)]
    rows = [
        ("`GET /users/me` ÷ `GET /health/live`, requests/s", f"{speed(me, live):.0%}", "≥ 80 %"),
        ("the same, by CPU a request", f"{cpu(live, me):.0%}", ""),
        ("`GET /users/me` ÷ FastAPI's as in samples, requests/s, core for core", f"{speed(me, sample):.0f} ×", "≥ 40 ×"),
        ("`GET /users/me` ÷ FastAPI's, requests/s, core for core", f"{speed(me, tuned):.0f} ×", ""),
        ("the same, by CPU a request", f"{cpu(tuned, me):.0f} ×", ""),
        ("`GET /items/{id}` ÷ FastAPI's, requests/s, core for core", f"{speed(item, found['FastAPI', 'GET /items/{id}']):.0f} ×", ""),
        ("CPU of a bare `GetItem` of the SDK", f"{statistics.median(bare):.1f} µs", ""),
        ("CPU of `GET /items/{id}` ÷ (bare `GetItem` + `GET /health/live`)", f"{cpu(item, alone):.2f}", "≤ 1.3"),
        ("backend, memory at rest", f"{at_rest['backend']:.1f} MB", "≤ 20 MB"),
        ("backend, memory after the load", f"{after['backend']:.1f} MB", ""),
        ("FastAPI, memory at rest", f"{at_rest['FastAPI']:.1f} MB", ""),
        ("FastAPI, memory after the load", f"{after['FastAPI']:.1f} MB", ""),
        ("release binary, stripped", f"{size:.1f} MB", "≤ 25 MB"),
    ]
    print("\n| what | measured | to reach |\n|---|--:|--:|")
    for what, measured, target in rows:
        print(f"| {what} | {measured} | {target} |")


def commit():
    described = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=BENCH, capture_output=True, text=True)
    return described.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
