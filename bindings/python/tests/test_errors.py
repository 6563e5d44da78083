"""Each phase fails in its own way: class, phase, host, code, text; nothing stays behind."""

import pickle
import re
import socket

import pytest
from conftest import TREE

import valtron_http
from valtron_http import Client, Timeout, _exchange, _native, exceptions
from valtron_http._client import NativeClient


def fails(client, kind, url, phase, name, **options):
    method = options.pop("method", "GET")
    with pytest.raises(kind) as caught:
        client.request(method, url, **options)
    error = caught.value
    assert type(error) is kind
    assert error.status_name == name and exceptions.TABLE[error.status][0] == name
    assert error.phase == phase
    assert error.request.url == url and error.elapsed >= 0
    if phase:
        assert error.host in ("localhost", "127.0.0.1", "name.invalid") and f": {phase}: " in str(error)
        # With the port where connecting failed.
        assert str(error).partition(f": {phase}: ")[0].partition(":")[0] == error.host
        assert not str(error).startswith(f"{error.host}: {phase}: {phase}: ")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)
    assert (again.phase, again.status, again.host, again.request.url) == (error.phase, error.status, error.host, url)
    assert client.stats()["requests_live"] == 0
    return error


def test_refused(client):
    # Bound but not listening: nobody else takes the port, and nobody answers.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        error = fails(client, exceptions.ConnectError, url, "connect", "CONNECT_REFUSED")
    assert isinstance(error, exceptions.ConnectionError) and isinstance(error, ConnectionError)
    assert error.os_errno == 111


def test_connect_timeout(client):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(4):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
            waiting.append(connection)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        error = fails(
            client, exceptions.ConnectTimeout, url, "connect", "TIMEOUT_CONNECT", timeout=Timeout(connect=0.1)
        )
        for connection in waiting:
            connection.close()
    assert isinstance(error, exceptions.Timeout) and isinstance(error, TimeoutError)
    assert isinstance(error, exceptions.ConnectError)


def test_unknown_name(client):
    with pytest.raises(exceptions.ResolveError) as caught:
        client.get("http://name.invalid/")
    assert caught.value.phase == "resolve" and caught.value.host == "name.invalid"
    assert caught.value.status_name in ("NAME_NOT_FOUND", "NAME_FAILED")


CERTIFICATES = [
    ("expired", "TLS_EXPIRED"),
    ("not_yet_valid", "TLS_NOT_YET_VALID"),
    ("wrong_host", "TLS_WRONG_HOST"),
    ("unknown_ca", "TLS_UNKNOWN_CA"),
    ("self_signed", "TLS_SELF_SIGNED"),
]


@pytest.mark.parametrize(("server", "name"), CERTIFICATES)
def test_certificates(client, site, server, name):
    error = fails(client, exceptions.CertificateError, getattr(site, server) + "/hello", "tls", name)
    assert isinstance(error, exceptions.SSLError)


def test_bundled_roots_do_not_know_the_site(site):
    with Client() as client:
        fails(client, exceptions.CertificateError, site.https + "/hello", "tls", "TLS_UNKNOWN_CA")


def test_not_tls(client, site):
    fails(client, exceptions.SSLError, site.plain_on_tls + "/hello", "tls", "TLS_NOT_TLS")


def test_tls_timeout(client, site):
    error = fails(
        client, exceptions.TLSTimeout, site.stall_tls + "/", "tls", "TIMEOUT_TLS", timeout=Timeout(tls=0.1)
    )
    assert isinstance(error, exceptions.ConnectTimeout)


@pytest.mark.parametrize("where", ["head", "headers"])
def test_first_byte_timeout(client, site, where):
    url = f"{site.http}/stall/{where}"
    fails(client, exceptions.ReadTimeout, url, "first byte", "TIMEOUT_FIRST_BYTE", timeout=Timeout(read=0.1))


def test_idle_timeout(client, site):
    url = site.http + "/stall/body"
    fails(client, exceptions.ReadTimeout, url, "body", "TIMEOUT_IDLE", timeout=Timeout(read=0.1))
    with client.stream("GET", url, timeout=Timeout(read=0.1)) as response, pytest.raises(exceptions.ReadTimeout):
        response.read()


def test_total_timeout(client, site):
    url = site.http + "/drip?n=1000&ms=10"
    error = fails(client, exceptions.TotalTimeout, url, "body", "TIMEOUT_TOTAL", timeout=Timeout(total=0.2))
    assert 0.2 <= error.elapsed < 5


def test_write_timeout(serve, client):
    # The server reads the head and then no more.
    url = serve(lambda connection, head: "hold").url + "/"
    fails(
        client,
        exceptions.WriteTimeout,
        url,
        "send",
        "TIMEOUT_SEND",
        method="POST",
        content=b"x" * 32_000_000,
        timeout=Timeout(write=0.2),
    )


@pytest.mark.parametrize("path", ["/truncated/length", "/truncated/chunked"])
def test_truncated(client, site, path):
    error = fails(client, exceptions.BodyTruncated, site.http + path, "body", "BODY_TRUNCATED")
    assert isinstance(error, exceptions.ChunkedEncodingError) and isinstance(error, exceptions.RemoteProtocolError)
    assert error.received == 500 and error.expected == (1000 if path.endswith("length") else None)


@pytest.mark.parametrize("path", ["/length", "/chunked", "/close"])
def test_truncated_tls(client, site, path):
    fails(client, exceptions.BodyTruncated, site.truncated_tls + path, "body", "BODY_TRUNCATED")


def test_malformed_answers(serve, client, site):
    answers = {
        b"a": (b"SSH-2.0-x\r\n\r\n", exceptions.RemoteProtocolError, "NOT_HTTP"),
        b"b": (b"HTTP/1.1 200 OK\r\nbad\r\n\r\n", exceptions.RemoteProtocolError, "HEAD_MALFORMED"),
        b"c": (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", exceptions.RemoteProtocolError, "LENGTH_MALFORMED"),
        b"d": (b"", exceptions.ConnectionLost, "CONNECTION_LOST"),
    }
    url = serve(lambda connection, head: connection.sendall(answers[head[5:6]][0])).url
    for path, (_, kind, name) in answers.items():
        fails(client, kind, f"{url}/{path.decode()}", "first byte", name)
    bad = serve(lambda connection, head: connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"))
    fails(client, exceptions.ChunkedEncodingError, bad.url + "/", "body", "CHUNK_MALFORMED")
    fails(client, exceptions.RemoteProtocolError, site.http + "/huge-head", "first byte", "HEAD_TOO_LARGE")


def test_redirects(client, site):
    fails(client, exceptions.TooManyRedirects, site.http + "/loop", "redirect", "TOO_MANY_REDIRECTS")
    fails(client, exceptions.BadRedirect, site.http + "/redirect/302?to=ftp://x/", "redirect", "BAD_REDIRECT")
    url = f"{site.https}/redirect/302?to={site.http}/hello"
    fails(client, exceptions.InsecureRedirect, url, "redirect", "INSECURE_REDIRECT")
    with Client(verify=site.ca, allow_insecure_redirects=True) as lenient:
        assert lenient.get(url).text == "hello, world\n"
    for limit in (0, 2):
        with Client(max_redirects=limit) as strict, pytest.raises(exceptions.TooManyRedirects):
            strict.get(site.http + "/loop")


def test_the_host_of_an_error_is_the_one_that_failed(client, site):
    """After a redirect the message names where it led, not where it began."""
    url = f"{site.http}/redirect/302?to={site.expired}/hello"
    with pytest.raises(exceptions.CertificateError) as caught:
        client.post(url, content=b"body")
    error = caught.value
    assert error.host == "localhost" and str(error).startswith("localhost: tls: ")
    assert (error.request.method, error.request.url) == ("GET", site.expired + "/hello")
    with pytest.raises(exceptions.ResolveError, match=r"^name\.invalid: resolve: "):
        client.get(site.http + "/redirect/302?to=http://name.invalid/")


def test_a_host_forges_no_line(client):
    """Whatever a URL has where its host should be, its error is one line of sane length."""
    for host in ("x\n", "x\x1b[31mred", "x\u2028y", "a" * 5000):
        with pytest.raises(exceptions.InvalidURL) as caught:
            client.get(f"http://{host}/")
        text = str(caught.value)
        assert text.isprintable() and len(text) < 600, text
        assert caught.value.host[:1] == host[:1]


def test_passwords_are_not_in_messages(client, site):
    secret = site.http.replace("://", "://user:hunter2@")
    errors = []
    for path in ("/loop", "/redirect/302?to=ftp://x/", "/truncated/length", "/stall/head", "/hello\tworld"):
        with pytest.raises(exceptions.HTTPError) as caught:
            client.get(secret + path, timeout=Timeout(read=0.1))
        errors.append(caught.value)
    with pytest.raises(exceptions.HTTPStatusError) as caught:
        client.get(secret + "/status/404").raise_for_status()
    errors.append(caught.value)
    with pytest.raises(exceptions.MissingSchema) as caught:
        client.get("user:hunter2@host/")
    errors.append(caught.value)
    for error in errors:
        assert "hunter2" not in str(error) + repr(error)


URLS = [
    ("", exceptions.InvalidURL, "URL_EMPTY"),
    ("hello", exceptions.MissingSchema, "URL_RELATIVE"),
    ("/hello", exceptions.MissingSchema, "URL_RELATIVE"),
    ("ftp://host/", exceptions.InvalidSchema, "URL_SCHEME"),
    ("http://", exceptions.InvalidURL, "URL_HOST"),
    ("http://host:99999/", exceptions.InvalidURL, "URL_PORT"),
    ("http://host:port/", exceptions.InvalidURL, "URL_PORT"),
    ("http://[::1/", exceptions.InvalidURL, None),
    ("http://host/" + "a" * 1_000_000, exceptions.InvalidURL, "URL_TOO_LONG"),
]


@pytest.mark.parametrize(("url", "kind", "name"), URLS, ids=[url[:20] for url, _, _ in URLS])
def test_urls(client, url, kind, name):
    with pytest.raises(kind) as caught:
        client.get(url)
    error = caught.value
    assert isinstance(error, ValueError) and error.argument == "url" and error.request.url == url
    assert name is None or error.status_name == name


def test_url_that_utf8_cannot_hold(client):
    with pytest.raises(exceptions.InvalidURL):
        client.get("http://host/\ud800")


INJECTIONS = ["a\r\nx: y", "a\nx: y", "a\rb", "a\0b"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_header_injection(client, site, text):
    for headers in ({"x": text}, {text: "x"}, {"x": text.encode()}):
        with pytest.raises(exceptions.InvalidHeader) as caught:
            client.get(site.http + "/echo", headers=headers)
        assert caught.value.argument == "headers"
    with pytest.raises(exceptions.InvalidMethod) as caught:
        client.request("GET " + text, site.http + "/echo")
    assert caught.value.argument == "method"
    for options in ({"auth": (text, text)}, {"params": {"a": text}}):
        # Encoded, not injected.
        assert "\nx: y" not in client.get(site.http + "/echo", **options).text
    with pytest.raises(exceptions.InvalidHeader), Client(headers={"x": text}) as injected:
        injected.get(site.http + "/echo")


def test_url_injection(client, site):
    for text in INJECTIONS:
        try:
            assert "\nx: y" not in client.get(site.http + "/echo?" + text).text
        except exceptions.InvalidURL:
            pass


@pytest.mark.parametrize("name", ["transfer-encoding", "content-length"])
def test_framing_headers_that_contradict(client, site, name):
    value = "chunked" if name == "transfer-encoding" else "7"
    with pytest.raises(exceptions.InvalidHeader):
        client.post(site.http + "/echo", content=b"abc", headers={name: value})


def test_the_host_is_said_once(client, serve):
    """Each message begins with the host, once: a refused connection, an answer that is none, a body cut short."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(exceptions.ConnectError) as refused:
        client.get(f"http://127.0.0.1:{port}/")
    assert str(refused.value) == f"127.0.0.1:{port}: connect: connection refused (CONNECT_REFUSED)"
    assert refused.value.host == "127.0.0.1"
    for answer in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"):
        with pytest.raises(exceptions.HTTPError) as broken:
            client.get(serve(lambda connection, _, answer=answer: connection.sendall(answer)).url)
        assert str(broken.value).startswith("127.0.0.1: ") and str(broken.value).count("127.0.0.1") == 1


def test_ca(tmp_path):
    with pytest.raises(exceptions.InvalidCA, match=r"^verify: .*\(CA_PEM\)$") as caught:
        Client(verify=b"no certificate")
    assert caught.value.argument == "verify" and caught.value.status_name == "CA_PEM"
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(exceptions.InvalidCA, match="^ca_file: ") as caught:
        Client(ca_file=empty)
    assert caught.value.argument == "ca_file"
    with pytest.raises(exceptions.InvalidCA, match="absent"):
        Client(verify=str(tmp_path / "absent.pem"))
    with pytest.raises(ValueError):
        Client(verify=1.5)
    with pytest.raises(ValueError):
        Client(trust="nobody")


def test_a_refused_client_names_the_field():
    """What the package does not check itself the library does, and says which field it was."""
    config = _native.ClientConfig(struct_size=_native.sizeof(_native.ClientConfig), requests_max=-2)
    with pytest.raises(exceptions.InvalidArgument, match="^requests_max: -2 is not within") as caught:
        NativeClient(config, None, {}, "verify")
    assert caught.value.argument == "limit"


def test_every_code_has_its_class():
    """The table against the library, and against the header if the tree is there."""
    for status, (name, kind, phase) in exceptions.TABLE.items():
        assert _native.status_name(status).decode() == "VALTRON_E_" + name
        assert issubclass(kind, exceptions.HTTPError) and phase in _native.PHASES
        assert exceptions.kind_of(status) is kind
        error = _exchange.describe(kind, status, None, None, 0.5)
        assert error.status == status and name in str(error)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind and again.status == status and again.elapsed == 0.5
    header = TREE / "include" / "valtron_http.h"
    if header.exists():
        defined = re.findall(r"\bVALTRON_E_(\w+)\s*=?\s*\(?(-\d+)", header.read_text())
        assert {int(number): name for name, number in defined} == {s: row[0] for s, row in exceptions.TABLE.items()}


def test_a_code_of_a_later_library():
    for status, kind in ((-199, exceptions.InvalidArgument), (-599, exceptions.SSLError), (-1234, exceptions.RequestError)):
        assert exceptions.kind_of(status) is kind


def test_both_ancestries():
    assert exceptions.RequestException is exceptions.HTTPError and issubclass(exceptions.HTTPError, OSError)
    for name in exceptions.__all__:
        kind = getattr(valtron_http, name)
        if issubclass(kind, exceptions.HTTPError):
            error = pickle.loads(pickle.dumps(kind("why")))
            assert type(error) is kind and str(error) == "why" and error.request is None
    for timeout in (exceptions.ConnectTimeout, exceptions.ReadTimeout, exceptions.WriteTimeout, exceptions.PoolTimeout):
        assert issubclass(timeout, exceptions.Timeout) and issubclass(timeout, exceptions.TransportError)
    assert issubclass(exceptions.SSLError, exceptions.ConnectionError)
