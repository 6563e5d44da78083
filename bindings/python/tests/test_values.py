"""Headers, Timeout, codes: no network."""

import encodings
import pickle
import pkgutil
from encodings.aliases import aliases

import pytest

from valtron_http import Client, Headers, InvalidArgument, InvalidURL, Request, Response, Timeout, _exchange, _native, codes


def made(body, content_type):
    """A response that no server sent."""
    head = _exchange.RawHead(_native.Head(struct_size=_native.HEAD_SIZE, http_status=200, http_minor=1))
    response = Response(head, Request("GET", "http://host/"))
    response._headers = Headers({"content-type": content_type})
    response._content = body
    return response


def test_headers_ignore_case_and_keep_duplicates():
    headers = Headers([("Set-Cookie", "a"), ("set-cookie", "b"), ("X", "1")])
    assert headers["SET-COOKIE"] == "a, b" and headers.get_list("Set-cookie") == ["a", "b"]
    assert headers.multi_items() == [("set-cookie", "a"), ("set-cookie", "b"), ("x", "1")]
    assert headers.raw[0] == (b"Set-Cookie", b"a")
    assert list(headers) == ["set-cookie", "x"] and len(headers) == 2
    assert "x" in headers and "y" not in headers and headers.get("y", "none") == "none"
    headers["x"] = "2"
    del headers["set-cookie"]
    assert headers == {"X": "2"} and dict(headers.items()) == {"x": "2"}
    assert headers.setdefault("x", "3") == "2" and headers.pop("x") == "2" and not len(headers)
    with pytest.raises(KeyError):
        headers["x"]
    with pytest.raises(KeyError):
        del headers["x"]


def test_headers_hide_secrets():
    assert "hunter2" not in repr(Headers({"Authorization": "hunter2", "Cookie": "hunter2"}))


def test_header_types():
    assert Headers({"a": 1})["a"] == "1" and Headers({"a": "€"}).raw == [(b"a", "€".encode())]
    with pytest.raises(ValueError):
        Headers({"a": object()})


def test_timeout():
    assert Timeout() == Timeout(read=30, connect=10, resolve=10, tls=10, write=30)
    assert Timeout(5) == Timeout(resolve=5, connect=5, tls=5, write=5, read=5, pool=5)
    assert Timeout((1, 2)).connect == 1 and Timeout((1, 2)).read == 2
    assert Timeout(None).total is None and Timeout(None)._ms == (-1,) * 8
    assert Timeout(5, total=1).total == 1 and Timeout(5, total=1).connect == 5
    assert Timeout(first_byte=1, read=2).idle == 2
    assert Timeout(0.0001)._ms[0] == 1
    assert "total=3" in repr(Timeout(total=3))
    for wrong in (0, -1, float("nan"), float("inf"), "1", True, (1, 2, 3)):
        with pytest.raises(InvalidArgument):
            Timeout(wrong)


def test_codes():
    assert codes.NOT_FOUND == codes.not_found == codes["not_found"] == 404
    assert codes.IM_A_TEAPOT == 418 and codes.get_reason_phrase(404) == "Not Found"
    with pytest.raises(AttributeError):
        _ = codes.no_such_code


def test_timeout_is_what_its_attributes_say():
    """An attribute set later is checked, and counts."""
    timeout = Timeout(5)
    timeout.total = 0.2
    timeout.read = 3
    assert timeout == Timeout(5, total=0.2, read=3) and timeout.first_byte == timeout.idle == timeout.read == 3
    assert timeout._ms[-1] == 200
    with pytest.raises(InvalidArgument, match="total"):
        timeout.total = -1
    with pytest.raises(AttributeError):
        timeout.reed = 3
    copy = Timeout(timeout)
    copy.total = 1
    assert timeout.total == 0.2
    assert pickle.loads(pickle.dumps(timeout)) == timeout


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: Timeout(1e9), "timeout:"),
        (lambda: Timeout((1, 1e9)), r"timeout \(read\):"),
        (lambda: Timeout(read=1e9), r"timeout \(read\):"),
        (lambda: Timeout(total=1e9), r"timeout \(total\):"),
        (lambda: Client(job_timeout=1e9), "job_timeout:"),
        (lambda: Client(job_timeout=float("nan")), "job_timeout:"),
    ],
)
def test_a_limit_too_long_is_named_as_the_caller_named_it(build, name):
    with pytest.raises(InvalidArgument, match=f"^{name}.*366 days"):
        build()
    assert Timeout(366 * 86400)._ms[0] == 366 * 86400 * 1000


@pytest.mark.parametrize("limit", [-1, 2**31, 1.5, "3", None, True])
def test_max_redirects_is_checked(limit):
    with pytest.raises(InvalidArgument, match="^max_redirects"):
        Client(max_redirects=limit)


def test_request_method():
    assert Request("get", "http://h/").method == Request(b"Get", "http://h/").method == "GET"
    for wrong in (5, None, ["GET"]):
        with pytest.raises(TypeError, match="method"):
            Request(wrong, "http://h/")
    # Upper case would make a method of it that was never meant.
    assert Request("stra\N{LATIN SMALL LETTER SHARP S}e", "http://h/").method == "stra\N{LATIN SMALL LETTER SHARP S}e"


def test_passwords_are_not_shown():
    for url in ("http://user:hunter2@host/a@b", "http://user:hunter2@x@host/", "http://:hunter2@host"):
        request = Request("GET", url)
        assert "hunter2" not in repr(request) and "host" in repr(request) and request.url == url
    assert repr(Request("GET", "http://host/a:b@c")) == "<Request('GET', 'http://host/a:b@c')>"
    assert repr(Request("GET", "/relative?x=http://a:b@c")) == "<Request('GET', '/relative?x=http://a:b@c')>"


def charsets():
    names = {*aliases.keys(), *aliases.values(), *(module.name for module in pkgutil.iter_modules(encodings.__path__))}
    return sorted(names | {"", "no such", "utf-8\0", "a" * 1000, "..os", "undefined", "string-escape", "\N{SNOWMAN}", "mbcs"})


def test_no_charset_of_a_server_raises():
    """Each name that Python knows, and some that it does not, over bodies that most of them dislike."""
    bodies = [b"", b"abc", bytes(range(256)), b"\\d \\x \\N{x} +AGE- xn--a-ecp.ru", b"\xff\xfe\x00", b"=41 -----"]
    used = set()
    for name in charsets():
        for body in bodies:
            response = made(body, f"text/plain; charset={name}")
            text = response.text
            assert isinstance(text, str)
            assert "".join(response.iter_text(1)) == "".join(response.iter_text()), name
            assert name.startswith("utf") or "".join(response.iter_text(1)) == text, name
            used.add(response.encoding)
    assert {"latin_1", "utf_16", "big5", "cp1252"} <= used
    # These are no charsets of text on the wire.
    assert not used & {"hex", "rot13", "rot_13", "base64", "idna", "undefined", "punycode", "unicode_escape", "zlib", "bz2"}


def test_an_encoding_of_the_caller_is_checked():
    response = made(b"\xfc", "text/plain; charset=hex")
    assert response.text == "\N{REPLACEMENT CHARACTER}"
    for wrong in ("hex", "no-such"):
        with pytest.raises(LookupError, match=wrong):
            response.encoding = wrong
        with pytest.raises(LookupError, match=wrong):
            Client(default_encoding=wrong)
    response.encoding = "latin-1"
    assert response.text == "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    response.encoding = None
    assert response.text == "\N{REPLACEMENT CHARACTER}"


def test_the_url_is_a_str():
    with Client(base_url="http://host/") as client:
        for wrong in (None, 5, ["http://host/"]):
            with pytest.raises(TypeError, match="url"):
                client.build_request("GET", wrong)
        assert client.build_request("GET", b"/a").url == "http://host/a"


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("http://host/api", "/login?next=http://x/", "http://host/api/login?next=http://x/"),
        ("http://host/api", "go/http://x/", "http://host/api/go/http://x/"),
        ("http://host/api/", "items:batch", "http://host/api/items:batch"),
        ("http://host/api", "#a://b", "http://host/api/#a://b"),
        ("http://host/api", "?a=1", "http://host/api/?a=1"),
        ("http://host/api", "", "http://host/api"),
        ("http://host/api", "HTTPS://other/x", "HTTPS://other/x"),
        ("http://host/api", "ftp://other/x", "ftp://other/x"),
        ("http://host/api?key=1", "x", "http://host/api/x"),
    ],
)
def test_base_url(base, url, expected):
    with Client(base_url=base) as client:
        assert client.build_request("GET", url).url == expected


def test_settings_of_requests_that_do_not_exist_are_refused():
    with Client() as client:
        for name in ("proxies", "cert", "cookies", "trust_env", "hooks"):
            with pytest.raises(AttributeError, match=name):
                setattr(client, name, None)
        # In requests it is a setting, here it is a method.
        with pytest.raises(AttributeError, match="stream"):
            client.stream = True
        # A test may put its own in the place of a method.
        client.stream = None


def test_an_empty_form_is_no_body():
    with Client() as client:
        for data in ({}, [], ()):
            request = client.build_request("POST", "http://host/", data=data)
            assert request.content is None and "content-type" not in request.headers
        assert client.build_request("POST", "http://host/", data={}, json=[1]).content == b"[1]"


@pytest.mark.parametrize(
    "bodies",
    [{"data": {"a": 1}, "json": {}}, {"data": b"a", "content": b"b"}, {"json": 1, "content": b""}],
)
def test_two_bodies_are_one_too_many(bodies):
    with Client() as client, pytest.raises(TypeError, match=" and ".join(sorted(bodies))):
        client.build_request("POST", "http://host/", **bodies)


@pytest.mark.parametrize("content", [5, {"a": 1}, ["a"], [1], object()])
def test_a_body_that_is_none(content):
    with Client() as client, pytest.raises(TypeError, match="content is"):
        client.build_request("POST", "http://host/", content=content)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": range(2)}, "?a=0&a=1"),
        ({"a": {"x"}}, "?a=x"),
        ({"a": (c for c in "xy")}, "?a=x&a=y"),
        ({"a": [True, None, 1.5]}, "?a=true&a=1.5"),
        ({"a": b"x y", "b": []}, "?a=x+y"),
        ((pair for pair in [("a", 1), ("a", 2)]), "?a=1&a=2"),
        ("?a=1", "?a=1"),
    ],
)
def test_query(params, query):
    with Client() as client:
        assert client.build_request("GET", "http://host/", params=params).url == "http://host/" + query


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("/a b", "/a%20b"),
        ("/\N{LATIN SMALL LETTER A WITH DIAERESIS}?\N{EURO SIGN}", "/%C3%A4?%E2%82%AC"),
        ("/%20%c3%A4%41?%2F", "/%20%c3%A4%41?%2F"),
        ("/100%", "/100%25"),
        ("/100%/%20/%zz/%1", "/100%25/%20/%25zz/%251"),
        ('/<>"{}|\\^`', "/%3C%3E%22%7B%7D%7C%5C%5E%60"),
        ("/!$&'()*+,-./:;=@_~[]", "/!$&'()*+,-./:;=@_~[]"),
        ("?q=a b#c d", "?q=a%20b#c%20d"),
        ("/?a=b&c=d%26", "/?a=b&c=d%26"),
        ("", ""),
    ],
)
def test_urls_are_quoted(written, sent):
    """As requests and httpx do it: what is an escape already stays one. Nothing before the path is touched."""
    assert Request("GET", "http://host" + written).url == "http://host" + sent
    assert Request("GET", "http://host" + sent).url == "http://host" + sent
    with Client() as client, Client(base_url="http://host/a b") as based:
        assert client.build_request("GET", "http://host" + written).url == "http://host" + sent
        if written[:1] == "/":
            assert based.build_request("GET", written).url == "http://host/a%20b" + sent
        assert client.build_request("GET", ("http://host" + written).encode()).url == "http://host" + sent
        url = client.build_request("GET", "http://host/?a=b c", params="d e=%20").url
        assert url == "http://host/?a=b%20c&d%20e=%20"


@pytest.mark.parametrize("url", ["http://a b/", "http://a\\b/", "http://u ser@h/", " http://h/", "http://h/\n", "http://h/?\t\x7f"])
def test_what_is_not_quoted(url):
    """In a host, and of control characters, quoting would make something of it that nobody meant."""
    assert Request("GET", url).url == url
    with Client() as client, pytest.raises(InvalidURL, match=r"at byte \d+ is not allowed"):
        client.get(url)


@pytest.mark.parametrize("params", [{"a": {"b": 1}}, ["a"], 5, [("a",)]])
def test_a_query_that_is_none(params):
    with Client() as client, pytest.raises(TypeError, match="params"):
        client.build_request("GET", "http://host/", params=params)


@pytest.mark.parametrize("headers", ["x: y", ["x"], 5])
def test_headers_that_are_none(headers):
    with pytest.raises(TypeError, match="headers"):
        Headers(headers)


@pytest.mark.parametrize("auth", [("a", 5), ("a", None), (None, "b"), ("a", "b", "c"), ("a",), "a:b", 5])
def test_auth_is_two_texts(auth):
    """Not five NULs, which is what bytes(5) would make of a password."""
    with Client() as client, pytest.raises((TypeError, InvalidArgument), match="auth"):
        client.send(Request("GET", "http://host.invalid/"), auth=auth)


def test_a_default_encoding_that_is_none():
    with Client(default_encoding=None) as client:
        assert client.default_encoding == "utf-8"
    with pytest.raises(TypeError, match="default_encoding"):
        Client(default_encoding=5)


def test_json_in_another_charset():
    assert made(b'["\xfc"]', "application/json; charset=latin-1").json() == ["\N{LATIN SMALL LETTER U WITH DIAERESIS}"]
    with pytest.raises(ValueError):
        made(b"\xfc", "application/json").json()


@pytest.mark.parametrize("size", ["5", 1.5, True, 0, -1])
@pytest.mark.parametrize("name", ["iter_bytes", "iter_raw", "iter_content", "iter_text", "iter_lines"])
def test_a_size_of_pieces_is_checked_at_once(name, size):
    with pytest.raises((TypeError, ValueError), match="chunk_size"):
        getattr(made(b"a", "text/plain"), name)(size)


def test_lines_as_requests_users_ask_for_them():
    response = made(b"a\nb\r\n\nc", "text/plain")
    assert list(response.iter_lines(chunk_size=1, decode_unicode=True)) == list(response.iter_lines(512)) == ["a", "b", "", "c"]


@pytest.mark.parametrize("delimiter", [",", "--", b"--", "ab", "\N{EURO SIGN}"])
@pytest.mark.parametrize("text", ["", "a", ",", "a,b--c,", "a----b", "---", "--a-b--", "aababb", "1\N{EURO SIGN}2\n3"])
def test_lines_of_ones_own(text, delimiter):
    """Whatever pieces they come in; an end that comes last begins no further line."""
    sign = delimiter.decode() if isinstance(delimiter, bytes) else delimiter
    expected = text.split(sign)
    expected = expected if expected[-1] else expected[:-1]
    for size in (None, 1, 2, 3):
        assert list(made(text.encode(), "text/plain").iter_lines(size, delimiter=delimiter)) == expected


@pytest.mark.parametrize("delimiter", ["", b"", 5])
def test_a_delimiter_that_is_none(delimiter):
    with pytest.raises((TypeError, ValueError), match="delimiter"):
        made(b"a", "text/plain").iter_lines(delimiter=delimiter)


def test_links():
    response = made(b"", "text/plain")
    response.headers["link"] = '<http://h/?a=1,2>; rel="next"; title="a, b; c", </last>;rel=last,<x>'
    assert response.links == {
        "next": {"url": "http://h/?a=1,2", "rel": "next", "title": "a, b; c"},
        "last": {"url": "/last", "rel": "last"},
        "x": {"url": "x"},
    }
    for broken in ("", "<", "x", ";;,,"):
        response.headers["link"] = broken
        assert response.links == {}
    for broken in ('<a>; b="', "<a>;=;", '<a>; rel="x\\', "<a>;b;"):
        response.headers["link"] = broken
        assert [link["url"] for link in response.links.values()] == ["a"]
    for hostile in ("<" * 1_000_000, '<a>;\\"' * 200_000, "<a>" + "; " * 500_000, "<a>;" + " " * 1_000_000):
        response.headers["link"] = hostile
        assert isinstance(response.links, dict)


def test_a_client_is_not_copied():
    import copy

    with Client() as client:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="Client"):
                way(client)
