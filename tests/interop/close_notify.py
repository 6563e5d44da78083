"""How a TLS connection ends, against OpenSSL's own account of it: close_notify.py FOLDER CERTIFICATE KEY CA.

A body that lasts until the connection closes is whole if close_notify came and cut off if TCP just ended (RFC 9112 section
9.8); and whenever this side closes, OpenSSL must have received close_notify. FOLDER holds small.txt.
"""

import pathlib
import socket
import ssl
import subprocess
import sys
import threading

import valtron_http

# Only a hang takes so long.
SECONDS_MAX = 30
VERSIONS = ("-tls1_2", "-tls1_3")
SENT = ">>> TLS 1.{}, Alert [length 0002], warning close_notify"
RECEIVED = "<<< TLS 1.{}, Alert [length 0002], warning close_notify"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\n"
BODY = b"x" * 500
BY_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + BODY


class Server:
    """One ``openssl s_server``: what it says is kept, what it is given goes to its client."""

    def __init__(self, version: str, *options: str) -> None:
        certificate, key = sys.argv[2:4]
        command = ["openssl", "s_server", "-msg", version, "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key]
        self.minor = version[-1]
        self.lines: list[str] = []
        self.said = threading.Condition()
        self.process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=sys.argv[1],
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.url = "https://localhost:" + self.await_line("ACCEPT 127.0.0.1:").rsplit(":", 1)[1]

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        if exception[0] is not None:
            print("\n".join(self.lines))

    def _read(self) -> None:
        for line in self.process.stdout:
            with self.said:
                self.lines.append(line.decode("latin-1").rstrip())
                self.said.notify_all()

    def await_line(self, beginning: str) -> str:
        def found() -> "str | None":
            return next((line for line in self.lines if line.startswith(beginning)), None)

        with self.said:
            assert self.said.wait_for(found, SECONDS_MAX), f"the server never said {beginning!r}"
            return found()

    def answer(self, answer: bytes) -> None:
        """To the request that is waited for."""
        self.await_line("GET /")
        self.process.stdin.write(answer)
        self.process.stdin.flush()

    def answer_soon(self, answer: bytes) -> threading.Thread:
        thread = threading.Thread(target=self.answer, args=(answer,))
        thread.start()
        return thread

    def kill(self) -> None:
        """The system closes its sockets: TCP ends, TLS says nothing."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def never_said(self, line: str) -> None:
        assert line not in self.lines, line


def whole_with_close_notify(version: str) -> None:
    expected = pathlib.Path(sys.argv[1], "small.txt").read_bytes()
    with Server(version, "-WWW") as server, valtron_http.Client(ca_file=sys.argv[4]) as client:
        response = client.get(server.url + "/small.txt")
        assert response.content == expected, response.content
        assert "content-length" not in response.headers and "transfer-encoding" not in response.headers
        server.await_line(SENT.format(server.minor))


def cut_off_without(version: str) -> None:
    with Server(version) as server, valtron_http.Client(ca_file=sys.argv[4]) as client:
        thread = server.answer_soon(UNTIL_CLOSE + BODY)
        with client.stream("GET", server.url + "/") as response:
            thread.join()
            got = b""
            try:
                for piece in response.iter_bytes():
                    got += piece
                    if got == BODY:
                        server.kill()
            except valtron_http.BodyTruncated as error:
                print(version, error)
                assert got == BODY, got
                server.never_said(SENT.format(server.minor))
                return
        raise AssertionError(f"{len(got)} bytes passed for a whole body")


def whole_by_its_length(version: str) -> None:
    """All of it is there, so how the connection ends says nothing about it."""
    with Server(version) as server, valtron_http.Client(ca_file=sys.argv[4]) as client:
        thread = server.answer_soon(BY_LENGTH[:-1])
        with client.stream("GET", server.url + "/") as response:
            thread.join()
            server.answer(BY_LENGTH[-1:])
            assert response.read() == BODY
            server.kill()
            server.never_said(SENT.format(server.minor))


def says_so_when_idle_ends(version: str) -> None:
    with Server(version) as server:
        with valtron_http.Client(ca_file=sys.argv[4]) as client:
            thread = server.answer_soon(BY_LENGTH)
            assert client.get(server.url + "/").content == BODY
            thread.join()
            server.never_said(RECEIVED.format(server.minor))
        server.await_line(RECEIVED.format(server.minor))


def says_so_when_a_body_is_given_up(version: str) -> None:
    with Server(version) as server, valtron_http.Client(ca_file=sys.argv[4]) as client:
        thread = server.answer_soon(BY_LENGTH[:-1])
        with client.stream("GET", server.url + "/") as response:
            thread.join()
            assert response.status_code == 200
            server.never_said(RECEIVED.format(server.minor))
        server.await_line(RECEIVED.format(server.minor))


def says_so_after_the_last_response(version: str) -> None:
    with Server(version) as server, valtron_http.Client(ca_file=sys.argv[4]) as client:
        thread = server.answer_soon(BY_LENGTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert client.get(server.url + "/").content == BODY
        thread.join()
        server.await_line(RECEIVED.format(server.minor))


def answers_that_of_the_server(version: str) -> None:
    """RFC 8446 section 6.1: each side says so for itself. ``unwrap`` of Python's OpenSSL waits for it, and raises without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv1_" + version[-1]]
    ends: list[object] = []

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(SECONDS_MAX)
        with context.wrap_socket(connection, server_side=True) as stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(4096)
            stream.sendall(UNTIL_CLOSE + BODY)
            try:
                ends.append(stream.unwrap())
            except (OSError, ValueError) as error:
                ends.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener, valtron_http.Client(ca_file=sys.argv[4]) as client:
        thread = threading.Thread(target=serve)
        thread.start()
        assert client.get(f"https://localhost:{listener.getsockname()[1]}/").content == BODY
        thread.join()
    assert isinstance(ends[0], socket.socket), ends
    ends[0].close()


def main() -> int:
    for case in (
        whole_with_close_notify,
        cut_off_without,
        whole_by_its_length,
        says_so_when_idle_ends,
        says_so_when_a_body_is_given_up,
        says_so_after_the_last_response,
        answers_that_of_the_server,
    ):
        for version in VERSIONS:
            print(case.__name__, version, flush=True)
            case(version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
