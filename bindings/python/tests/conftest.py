"""The site the tests fetch from: the variables VALTRON_SITE_*, or `cargo xtask site` started here. And a server of one's own."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

import valtron_http

NAMES = "HTTP HTTPS CA EXPIRED NOT_YET_VALID WRONG_HOST UNKNOWN_CA SELF_SIGNED PLAIN_ON_TLS STALL_TLS TRUNCATED_TLS".split()
PACKAGE = Path(__file__).resolve().parent.parent
TREE = PACKAGE.parent.parent


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Where everything is installed a skipped test is a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("CI") and exitstatus == 0:
        reporter.write_line(f"{len(skipped)} tests were skipped, which is a failure where CI is set")
        session.exitstatus = 1


class Site:
    def __init__(self, values):
        for name in NAMES:
            setattr(self, name.lower(), values[f"VALTRON_SITE_{name}"])


@pytest.fixture(scope="session")
def site():
    wanted = [f"VALTRON_SITE_{name}" for name in NAMES]
    if all(name in os.environ for name in wanted):
        yield Site(os.environ)
        return
    process = subprocess.Popen(
        ["cargo", "xtask", "site"], cwd=TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    values = {}
    while not all(name in values for name in wanted):
        line = process.stdout.readline()
        if not line:
            pytest.fail("`cargo xtask site` ended before it named all its addresses")
        name, _, value = line.strip().partition("=")
        values[name] = value
    yield Site(values)
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def client(site):
    with valtron_http.Client(verify=site.ca) as client:
        yield client


class Server:
    """Accepts on a thread and gives each connection, its request's head read, to *answer*."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.held = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    break
                head += piece
            if head and self.answer(connection, head) == "hold":
                self.held.append(connection)
            else:
                connection.close()

    def close(self):
        # A thread in accept is not woken by close alone.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for connection in self.held:
            connection.close()


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def whole(body, head=b""):
    return b"HTTP/1.1 200 OK\r\n" + head + b"content-length: %d\r\n\r\n" % len(body) + body
