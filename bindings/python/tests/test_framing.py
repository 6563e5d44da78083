"""Where a response ends (RFC 9112 section 6.3) and what is refused, from the bytes of a server to what a program sees."""

import socket

import pytest
from conftest import whole

import valtron_http

HELLO = (200, b"hello")

# What becomes of each `/smuggle/NAME` of the test site (xtask/src/site/smuggle.rs): status and body, or the code it is
# refused with.
SMUGGLED = {
    "te-cl": "FRAMING_CONFLICT",
    "cl-te": "FRAMING_CONFLICT",
    "two-cl": "FRAMING_CONFLICT",
    "list-cl": "FRAMING_CONFLICT",
    "same-cl": HELLO,
    "cl-plus": "LENGTH_MALFORMED",
    "cl-negative": "LENGTH_MALFORMED",
    "cl-hex": "LENGTH_MALFORMED",
    "cl-empty": "LENGTH_MALFORMED",
    "cl-word": "LENGTH_MALFORMED",
    "cl-overflow": "LENGTH_MALFORMED",
    "te-chunked-identity": "FRAMING_CONFLICT",
    "te-identity": "FRAMING_CONFLICT",
    "te-unknown": "FRAMING_CONFLICT",
    "te-twice": "FRAMING_CONFLICT",
    "te-empty": "FRAMING_CONFLICT",
    "te-quoted": "FRAMING_CONFLICT",
    "te-10": "FRAMING_CONFLICT",
    "te-upper": HELLO,
    "name-space": "HEAD_MALFORMED",
    "name-nul": "HEAD_MALFORMED",
    "value-nul": "HEAD_MALFORMED",
    "value-cr": "HEAD_MALFORMED",
    "bare-lf": "HEAD_MALFORMED",
    "obs-fold": HELLO,
    "chunk-plus": "CHUNK_MALFORMED",
    "chunk-hex": "CHUNK_MALFORMED",
    "chunk-empty": "CHUNK_MALFORMED",
    "chunk-space": "CHUNK_MALFORMED",
    "chunk-lf": "CHUNK_MALFORMED",
    "chunk-ext-lf": "CHUNK_MALFORMED",
    "chunk-long": "CHUNK_MALFORMED",
    "chunk-overflow": "CHUNK_MALFORMED",
    "switching": "UNASKED_UPGRADE",
    "status-short": "HEAD_MALFORMED",
    "status-letters": "HEAD_MALFORMED",
    "version": "NOT_HTTP",
    "not-http": "NOT_HTTP",
    "close-reason-empty": HELLO,
}


def outcome(client, url, method="GET"):
    """Status and body, or the name of the code."""
    try:
        response = client.request(method, url)
    except valtron_http.RequestError as error:
        assert client.stats()["requests_live"] == 0
        return error.status_name
    return response.status_code, response.content


def test_every_case_of_the_site_is_expected(client, site):
    # A name the site does not know is answered by the list of those it does.
    assert client.get(site.http + "/smuggle/").text.split() == list(SMUGGLED)


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggled(client, site, name):
    assert outcome(client, f"{site.http}/smuggle/{name}") == SMUGGLED[name]
    # The client is none the worse for it, and asks on a connection that saw nothing of this.
    after = client.get(site.http + "/hello")
    assert after.text == "hello, world\n" and not after.connection_reused


def test_folded_value_is_one_line(client, site):
    assert client.get(site.http + "/smuggle/obs-fold").headers["x-a"] == "a   b"


CHUNKS = "5\r\nhello\r\n0\r\n\r\n"

# RFC 9112 section 6.3, rule by rule: method, head, what follows it, what the program sees, whether the next request
# goes over the same connection. The server leaves the connection open, but for END.
END = "(the server ends its stream)"
RULES = [
    # 1: HEAD, 204, 304 end with their head, whatever it says.
    ("HEAD", "1.1 200 OK\nContent-Length: 5", "", (200, b""), True),
    ("HEAD", "1.1 200 OK\nTransfer-Encoding: chunked", "", (200, b""), True),
    ("HEAD", "1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked", "", (200, b""), True),
    ("GET", "1.1 204 No Content", "", (204, b""), True),
    ("GET", "1.1 204 No Content\nContent-Length: 5", "", (204, b""), False),
    ("GET", "1.1 204 No Content\nTransfer-Encoding: chunked", "", (204, b""), False),
    ("GET", "1.1 304 Not Modified\nContent-Length: 5", "", (304, b""), True),
    ("GET", "1.1 304 Not Modified\nTransfer-Encoding: chunked", "", (304, b""), True),
    ("GET", "1.1 100 Continue\nContent-Length: 5", "hello", "FRAMING_CONFLICT", False),
    ("GET", "1.1 103 Early Hints\nTransfer-Encoding: chunked", CHUNKS, "FRAMING_CONFLICT", False),
    ("GET", "1.1 103 Early Hints\n\nHTTP/1.1 200 OK\nContent-Length: 5", "hello", (200, b"hello"), True),
    # 3: both.
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5", CHUNKS, "FRAMING_CONFLICT", False),
    # 4: Transfer-Encoding.
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", CHUNKS, (200, b"hello"), True),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", "5 \t;a=b\r\nhello\r\n0\r\n\r\n", (200, b"hello"), True),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", "5 \r\nhello\r\n000\r\nT: u\r\n\r\n", (200, b"hello"), True),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", "5 6\r\nhello\r\n0\r\n\r\n", "CHUNK_MALFORMED", False),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", "5 garbage\r\nhello\r\n0\r\n\r\n", "CHUNK_MALFORMED", False),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", "-5\r\nhello\r\n0\r\n\r\n", "CHUNK_MALFORMED", False),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", "5\r\nhello\r\n" + END, "BODY_TRUNCATED", False),
    ("GET", "1.1 200 OK\nTransfer-Encoding: gzip, chunked", CHUNKS, "FRAMING_CONFLICT", False),
    ("GET", "1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked", CHUNKS, "FRAMING_CONFLICT", False),
    ("GET", "1.1 200 OK\nTransfer-Encoding: x,\n chunked", CHUNKS, "HEAD_MALFORMED", False),
    ("GET", "1.2 200 OK\nTransfer-Encoding: chunked", CHUNKS, (200, b"hello"), True),
    # 5 and 6: Content-Length.
    ("GET", "1.1 200 OK\nContent-Length: 5", "hello", (200, b"hello"), True),
    ("GET", "1.1 200 OK\nContent-Length: 5, 5", "hello", (200, b"hello"), True),
    ("GET", "1.1 200 OK\nContent-Length: 5,", "hello", "LENGTH_MALFORMED", False),
    ("GET", "1.1 200 OK\nContent-Length: 5 5", "hello", "LENGTH_MALFORMED", False),
    ("GET", "1.1 200 OK\nContent-Length:\n 5", "hello", "HEAD_MALFORMED", False),
    ("GET", "1.1 200 OK\n Content-Length: 5", "hello", "HEAD_MALFORMED", False),
    ("GET", "1.1 200 OK\nContent-Length: 6", "hello" + END, "BODY_TRUNCATED", False),
    ("GET", "1.1 205 Reset Content\nContent-Length: 0", "", (205, b""), True),
    ("GET", "1.0 200 OK\nContent-Length: 5", "hello", (200, b"hello"), False),
    ("GET", "1.0 200 OK\nContent-Length: 5\nConnection: keep-alive", "hello", (200, b"hello"), True),
    ("GET", "1.1 200 OK\nContent-Length: 5\nConnection: close", "hello", (200, b"hello"), False),
    # 8: until the connection ends.
    ("GET", "1.1 200 OK", "hello" + END, (200, b"hello"), False),
    ("GET", "1.0 200 OK\nConnection: keep-alive", "hello" + END, (200, b"hello"), False),
    # No version of ours.
    ("GET", "2.0 200 OK\nContent-Length: 5", "hello", "NOT_HTTP", False),
    ("GET", "0.9 200 OK\nContent-Length: 5", "hello", "NOT_HTTP", False),
]


@pytest.mark.parametrize(("method", "head", "body", "expected", "kept"), RULES)
def test_rules(serve, client, method, head, body, expected, kept):
    first = f"HTTP/{head}\n\n".replace("\n", "\r\n") + body.removesuffix(END)
    answers = [first.encode(), whole(b"second")]

    def answer(connection, _):
        connection.sendall(answers.pop(0))
        if answers and body.endswith(END):
            connection.shutdown(socket.SHUT_WR)
        # The client asks again here, or has closed the connection and asks anew; it may do that by a reset.
        try:
            if answers and connection.recv(65536):
                connection.sendall(answers.pop(0))
        except ConnectionResetError:
            pass

    url = serve(answer).url
    assert outcome(client, url, method) == expected
    second = client.get(url)
    assert second.text == "second" and second.connection_reused == kept


def test_the_minor_version_is_told_as_received(serve, client):
    url = serve(lambda connection, _: connection.sendall(b"HTTP/1.7 200 OK\r\nContent-Length: 0\r\n\r\n")).url
    assert client.get(url).http_version == "HTTP/1.7"


def test_folded_trailers(serve, client):
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: a\r\n\tb\r\nHost: x\r\n y\r\n\r\n"
    response = client.get(serve(lambda connection, _: connection.sendall(body)).url)
    assert response.trailers.multi_items() == [("x-sum", "a   b")]
