"""Bodies in pieces, progress, and what closing early does."""

import gc
import tracemalloc

import pytest
from conftest import whole

import valtron_http
from valtron_http import Client
from valtron_http.exceptions import StreamClosed, StreamConsumed


def pattern(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def test_pieces(client, site):
    url = site.http + "/bytes/1000000"
    for size, expected in ((None, None), (1000, 1000), (300_000, 4), (2_000_000, 1)):
        with client.stream("GET", url) as response:
            pieces = list(response.iter_bytes(size))
        assert b"".join(pieces) == pattern(1_000_000)
        if expected:
            assert len(pieces) == expected and {len(piece) for piece in pieces[:-1]} <= {size}


def test_pieces_larger_than_the_body(client, site):
    """What is asked for is not what is allocated."""
    for path in ("/bytes/1000000", "/chunked/1000000"):
        with client.stream("GET", site.http + path) as response:
            tracemalloc.start()
            assert list(response.iter_bytes(10**13)) == [pattern(1_000_000)]
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 4_000_000
    response = client.get(site.http + "/bytes/1000")
    assert list(response.iter_bytes(10**13)) == [pattern(1000)]


def test_piece_sizes_that_are_none(client, site):
    for wrong, kind in ((0, ValueError), (-1, ValueError), ("1", TypeError), (1.5, TypeError)):
        with client.stream("GET", site.http + "/bytes/10") as response:
            with pytest.raises(kind, match="chunk_size"):
                list(response.iter_bytes(wrong))
            assert response.read() == pattern(10)


def test_small_pieces_come_as_soon_as_they_are_there(serve, client):
    """A piece is handed on once it is whole, and not kept until the next one is there too."""
    from threading import Event

    got = Event()

    def answer(connection, head):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nabcde")
        assert got.wait(10)
        connection.sendall(b"fgh")

    pieces = []
    with client.stream("GET", serve(answer).url) as response:
        for piece in response.iter_bytes(2):
            pieces.append(piece)
            if len(pieces) == 2:
                got.set()
    assert pieces == [b"ab", b"cd", b"ef", b"gh"]


def test_stream_then_read(client, site):
    response = client.get(site.http + "/chunked/500000", stream=True)
    assert response.status_code == 200 and not response.is_closed
    assert response.content == pattern(500_000) == response.read() and response.is_closed
    assert b"".join(response.iter_content(4096)) == pattern(500_000)


def test_text_and_lines(serve, client):
    body = "eins\nzwei\r\ndr\N{LATIN SMALL LETTER U WITH DIAERESIS}i\r\rletzte".encode()
    url = serve(lambda connection, _: connection.sendall(whole(body))).url
    for size in (1, 3, None):
        with client.stream("GET", url) as response:
            assert "".join(response.iter_text(size)) == body.decode()
    with client.stream("GET", url) as response:
        assert list(response.iter_lines()) == ["eins", "zwei", "drüi", "", "letzte"]


def test_consumed_and_closed(client, site):
    with client.stream("GET", site.http + "/bytes/1000") as response:
        assert b"".join(response) == pattern(1000)
        with pytest.raises(StreamConsumed):
            response.content  # noqa: B018
        with pytest.raises(StreamConsumed):
            next(response.iter_bytes())
    with client.stream("GET", site.http + "/bytes/1000") as response:
        response.close()
        with pytest.raises(StreamClosed):
            response.read()


def test_empty_stream(client, site):
    with client.stream("GET", site.http + "/204") as response:
        assert list(response.iter_bytes()) == []


def test_dropped_streams_free_their_requests(client, site):
    url = site.http + "/stall/body"
    with client.stream("GET", url) as response:
        assert response.headers["content-length"] == "10"
    response = client.stream("GET", url)
    for piece in response.iter_bytes():
        assert piece == b"half"
        break
    del response
    gc.collect()
    assert client.stats()["requests_live"] == 0


def test_a_stream_outlives_its_client(site):
    client = Client()
    response = client.stream("GET", site.http + "/stall/body")
    client.close()
    del client
    with pytest.raises(valtron_http.ClientClosed):
        response.read()


def test_truncated_stream(client, site):
    with client.stream("GET", site.http + "/truncated/length") as response:
        got = b""
        with pytest.raises(valtron_http.BodyTruncated) as caught:
            for piece in response.iter_bytes():
                got += piece
    assert got == pattern(500)
    assert caught.value.received == 500 and caught.value.expected == 1000 and caught.value.response is response


def test_progress(client, site):
    seen = []
    with client.stream("GET", site.http + "/redirect/302?to=/bytes/3000000", on_progress=seen.append) as response:
        early = [progress.state for progress in seen]
        assert "Done" not in early and early[0] == "Init"
        size = sum(len(piece) for piece in response.iter_bytes())
        assert size == 3_000_000
    states = [(progress.state, progress.hop) for progress in seen]
    assert [step for step in dict.fromkeys(states)] == [(step.state, step.hop) for step in response.trace]
    assert seen[-1].received == 3_000_000 == seen[-1].total
    assert [progress.at for progress in seen] == sorted(progress.at for progress in seen)


def test_progress_passes_while_the_server_waits(serve, client):
    """The state is told before the response is there: the server answers only once it was."""
    from threading import Event

    told = Event()

    def answer(connection, head):
        assert told.wait(10)
        connection.sendall(whole(b"x"))

    def show(progress):
        if progress.state == "ReceivingIntro":
            told.set()

    assert client.get(serve(answer).url, on_progress=show).content == b"x"


def test_an_exception_of_on_progress_ends_the_request(client, site):
    def refuse(progress):
        raise LookupError(progress.state)

    with pytest.raises(LookupError, match="Init"):
        client.get(site.http + "/hello", on_progress=refuse)
    assert client.stats()["requests_live"] == 0
