"""What goes out and what comes back when nothing fails."""

import datetime
import json
import pickle

import pytest
from conftest import whole

import valtron_http
from valtron_http import Client, Headers, codes

PATTERN = bytes(range(251))


def pattern(size):
    return (PATTERN * (size // 251 + 1))[:size]


def echoed(response):
    head, _, body = response.text.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return first, Headers([line.split(": ", 1) for line in lines]), body


def test_get(client, site):
    response = client.get(site.http + "/hello")
    assert response.status_code == 200 == codes.OK == codes.ok
    assert response.reason_phrase == response.reason == "OK"
    assert response.content == b"hello, world\n" and isinstance(response.content, bytes)
    assert response.text == "hello, world\n"
    assert response.headers["Content-Type"] == "text/plain"
    assert response.url == site.http + "/hello"
    assert response.http_version == "HTTP/1.1"
    assert response.is_success and response.ok and not response.is_error and not response.is_redirect
    assert response.raise_for_status() is response
    assert response.history == []
    assert isinstance(response.elapsed, datetime.timedelta) and response.elapsed > datetime.timedelta(0)
    assert response.request.method == "GET" and response.request.url == response.url
    assert response.is_closed


def test_https(client, site):
    assert client.get(site.https + "/hello").text == "hello, world\n"


def test_verify_off_and_pem_bytes(site):
    with open(site.ca, "rb") as file:
        pem = file.read()
    for verify in (False, pem, pem.decode()):
        with Client(verify=verify) as client:
            assert client.get(site.https + "/hello").status_code == 200


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_verbs(client, site, method):
    for target in (client, valtron_http):
        first, _, body = echoed(getattr(target, method)(site.http + "/echo"))
        assert first == f"{method.upper()} /echo" and body == ""


def test_head(client, site):
    response = client.head(site.http + "/hello")
    assert response.content == b"" and response.headers["content-length"] == "13"


def test_arguments_by_position_as_in_requests(client, site):
    assert echoed(valtron_http.get(site.http + "/echo", {"a": 1}))[0] == "GET /echo?a=1"
    for target in (client, valtron_http):
        assert echoed(target.post(site.http + "/echo", {"a": 1}))[2] == "a=1"
        assert echoed(target.post(site.http + "/echo", None, {"a": 1}))[2] == '{"a":1}'


def test_module_request_and_stream(site):
    assert valtron_http.request("GET", site.http + "/hello").text == "hello, world\n"
    with valtron_http.stream("GET", site.http + "/bytes/1000") as response:
        assert response.read() == pattern(1000)


def test_bodies(client, site):
    url = site.http + "/echo"
    _, headers, body = echoed(client.post(url, json={"a": [1, "é"]}))
    assert headers["content-type"] == "application/json" and json.loads(body) == {"a": [1, "é"]}
    _, headers, body = echoed(client.post(url, data={"a": ["1", "2"], "b": "x y&", "c": None}))
    assert headers["content-type"] == "application/x-www-form-urlencoded" and body == "a=1&a=2&b=x+y%26"
    _, headers, body = echoed(client.post(url, data=b"raw"))
    assert body == "raw" and "content-type" not in headers and headers["content-length"] == "3"
    for content in ("text", bytearray(b"text"), memoryview(b"text"), [b"te", b"xt"]):
        assert echoed(client.put(url, content=content))[2] == "text"
    big = "z" * 1_000_000
    assert echoed(client.post(url, content=big))[2] == big


def test_params(client, site):
    cases = [
        ("/echo", {"a": ["1", "2"], "b": None, "c": True}, "/echo?a=1&a=2&c=true"),
        ("/echo?x=1", {"a": "ä b"}, "/echo?x=1&a=%C3%A4+b"),
        ("/echo?x=1#part", [("a", 1)], "/echo?x=1&a=1"),
        ("/echo", "ready=made", "/echo?ready=made"),
        ("/echo?kept=%2F%41", None, "/echo?kept=%2F%41"),
        ("/echo?a b=\N{EURO SIGN}|100%", "c=d e", "/echo?a%20b=%E2%82%AC%7C100%25&c=d%20e"),
    ]
    for path, params, expected in cases:
        assert echoed(client.get(site.http + path, params=params))[0] == f"GET {expected}"


def test_headers_sent(site):
    with Client(headers={"X-Both": "client", "X-Client": "1"}) as client:
        _, headers, _ = echoed(client.get(site.http + "/echo", headers=[("x-both", "request"), ("x-two", "1"), ("x-two", "2")]))
        assert headers["x-both"] == "request" and headers["x-client"] == "1"
        assert headers.get_list("x-two") == ["1", "2"]
        assert headers["accept"] == "*/*"
        _, headers, _ = echoed(client.get(site.http + "/echo", headers={"X-CLIENT": None, "Accept": "text/html"}))
        assert "x-client" not in headers and headers.get_list("accept") == ["text/html"] and headers["x-both"] == "client"
        client.headers["x-client"] = "2"
        assert echoed(client.get(site.http + "/echo"))[1]["x-client"] == "2"


def test_auth(site):
    url = site.http + "/auth-echo"
    with Client(auth=("user", "pass:wörd")) as client:
        assert client.get(url).text == "Basic dXNlcjpwYXNzOnfDtnJk"
        assert client.get(url, auth=None).text == "(none)"
        assert client.get(url, auth=("a", "b")).text == "Basic YTpi"

        def bearer(request):
            request.headers["authorization"] = "Bearer " + request.method

        assert client.get(url, auth=bearer).text == "Bearer GET"


def test_credentials_in_the_url(client, site):
    assert client.get(site.http.replace("://", "://a:b@") + "/auth-echo").text == "Basic YTpi"


def test_base_url(site):
    with Client(base_url=site.http + "/bytes/") as client:
        assert client.get("/10").content == client.get("10").content == pattern(10)
        assert client.get(site.http + "/hello").status_code == 200


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect(client, site, code):
    response = client.post(f"{site.http}/redirect/{code}?to=/echo", content=b"body")
    first, _, body = echoed(response)
    kept = code in (307, 308)
    assert first == f"{'POST' if kept else 'GET'} /echo" and body == ("body" if kept else "")
    (hop,) = response.history
    assert hop.status_code == code and hop.headers["location"] == "/echo" and hop.is_redirect
    assert hop.url == f"{site.http}/redirect/{code}?to=/echo" and response.url == site.http + "/echo"


def test_methods_are_upper_case(client, site):
    assert echoed(client.request("get", site.http + "/echo"))[0] == "GET /echo"
    first, headers, body = echoed(client.request("post", f"{site.http}/redirect/302?to=/echo", json=[1]))
    assert first == "GET /echo" and body == "" and "content-type" not in headers
    with pytest.raises(TypeError, match="method"):
        client.request(5, site.http + "/echo")


def test_the_url_of_a_redirect_is_the_one_sent(serve, client):
    """Quoting is for what a caller writes."""
    heads = []

    def answer(connection, head):
        heads.append(head)
        connection.sendall(whole(b"").replace(b"200 OK", b"302 F\r\nlocation: /b|c", 1))

    url = serve(answer).url
    response = client.get(url + "/a|b", follow_redirects=False)
    assert heads[0].startswith(b"GET /a%7Cb HTTP") and response.request.url == url + "/a%7Cb"
    with pytest.raises(valtron_http.TooManyRedirects) as caught:
        client.get(url + "/a")
    assert heads[-1].startswith(b"GET /b|c HTTP") and caught.value.request.url == url + "/b|c"


@pytest.mark.parametrize("code", [302, 303, 307])
def test_the_requests_of_a_redirect_are_those_sent(client, site, code):
    """Method, URL, body and headers of each hop, as they went out."""
    url = f"{site.http}/redirect/{code}?to={site.https}/echo"
    for stream in (False, True):
        with client.request("POST", url, json=[1], auth=("a", "b"), headers={"x": "1"}, stream=stream) as response:
            first, sent, body = echoed(response)
        last, (hop,) = response.request, response.history
        assert (hop.request.method, hop.request.url, hop.request.content) == ("POST", url, b"[1]")
        assert hop.request.headers["content-type"] == "application/json" and "authorization" in hop.request.headers
        assert last.url == response.url == site.https + "/echo"
        assert f"{last.method} /echo" == first and (last.content or b"").decode() == body
        assert last.method == ("POST" if code == 307 else "GET")
        for name in ("authorization", "content-type", "x"):
            assert last.headers.get(name) == sent.get(name)


def test_settings_changed_later_take_effect(serve, site):
    with Client() as client:
        client.timeout.total = 0.2
        with pytest.raises(valtron_http.TotalTimeout):
            client.get(site.http + "/stall/head")
        client.timeout.total = None
        headers = client.headers
        url = site.http + "/echo"
        assert "x" not in echoed(client.get(url))[1]
        headers["X"] = "1"
        assert echoed(client.get(url))[1]["x"] == "1"
        del headers["x"]
        assert "x" not in echoed(client.get(url))[1]
        headers.update({"x": "2"})
        assert echoed(client.get(url))[1]["x"] == "2"
        with pytest.raises(valtron_http.CertificateError):
            client.get(site.https + "/hello")
        client.verify = site.ca
        assert client.get(site.https + "/hello").status_code == 200 and client.verify == site.ca
        client.base_url = site.http
        assert client.get("/hello").status_code == 200


def test_user_agent(site):
    """A header of the client like any other: seen, replaced, left out."""
    url = site.http + "/echo"
    with Client() as client:
        name = f"valtron_http/{valtron_http.__version__}"
        assert client.headers["user-agent"] == echoed(client.get(url))[1]["user-agent"] == name
        assert echoed(client.get(url, headers={"User-Agent": "me"}))[1].get_list("user-agent") == ["me"]
        assert "user-agent" not in echoed(client.get(url, headers={"User-Agent": None}))[1]
        client.headers = {"x": "1"}
        assert client.headers["user-agent"] == name
        client.headers["user-agent"] = "mine"
        assert echoed(client.get(url))[1]["user-agent"] == "mine"
        # The library sends "*/*", which means what no Accept means (RFC 9110 section 12.5.1).
        assert echoed(client.get(url, headers={"Accept": None}))[1]["accept"] == "*/*"
    with Client(headers={"User-Agent": None}) as client:
        assert "user-agent" not in echoed(client.get(url))[1]


def test_redirect_not_followed(client, site):
    for option in ("follow_redirects", "allow_redirects"):
        response = client.get(site.http + "/redirect/302?to=/hello", **{option: False})
        assert response.status_code == 302 and response.is_redirect and response.history == []
        assert response.content == b"elsewhere\n"


def test_chain_from_http_to_https(client, site):
    response = client.get(site.http + "/chain")
    assert response.url == site.https + "/hello" and response.text == "hello, world\n"
    assert [hop.status_code for hop in response.history] == [302, 301, 307]
    assert [len(hop.history) for hop in response.history] == [0, 1, 2]


def test_no_body(client, site):
    assert client.get(site.http + "/204").content == b""
    response = client.get(site.http + "/304")
    assert response.status_code == 304 and response.content == b""


@pytest.mark.parametrize("size", [0, 1, 251, 65536, 262144, 262145, 5_000_000])
def test_sizes(client, site, size):
    for kind in ("bytes", "chunked", "close"):
        assert client.get(f"{site.http}/{kind}/{size}").content == pattern(size)


def test_large_over_tls(client, site):
    assert client.get(site.https + "/bytes/3000000").content == pattern(3_000_000)


def test_trailers_and_interim(client, site):
    response = client.get(site.http + "/trailers")
    assert response.content == pattern(1000)
    assert response.trailers["x-checksum"] == "abc" and response.trailers["x-last"] == "yes"
    assert client.get(site.http + "/interim").status_code == 200


def test_trace_and_timings(client, site):
    response = client.get(site.http + "/bytes/1000")
    assert [step.state for step in response.trace] == [
        "Init",
        "Connecting",
        "SendingRequest",
        "ReceivingIntro",
        "ReceivingHeaders",
        "ReceivingBody",
        "Done",
    ]
    times = dict(response.timings)
    assert times["tls"] is None and 0 <= times["connected"] <= times["sent"] <= times["head"] <= times["done"]
    assert response.num_bytes_downloaded == 1000 == response.body_total
    assert not response.connection_reused


def test_connections_are_kept(client, site):
    first, second = (client.get(site.http + "/hello") for _ in range(2))
    assert first.headers["x-connection"] == second.headers["x-connection"]
    assert second.connection_reused


def test_json_and_text(serve, client):
    bodies = {
        b"a": (b'{"a":1}', b""),
        b"b": ('{"ü":"ß"}'.encode("utf-16"), b""),
        b"c": ("ü".encode("latin-1"), b"content-type: text/plain; charset=ISO-8859-1\r\n"),
        b"d": ("ü".encode(), b"content-type: text/plain; charset=no-such\r\n"),
        b"e": (b"not json", b""),
    }

    def answer(connection, head):
        connection.sendall(whole(*bodies[head[5:6]]))

    url = serve(answer).url
    assert client.get(url + "/a").json() == {"a": 1}
    assert client.get(url + "/a").json(loads=len) == 7
    assert client.get(url + "/b").json() == {"ü": "ß"}
    response = client.get(url + "/c")
    assert response.encoding == response.charset_encoding == "ISO-8859-1" and response.text == "ü"
    response.encoding = "utf-8"
    assert response.text == "\N{REPLACEMENT CHARACTER}"
    assert client.get(url + "/d").text == "ü"
    with pytest.raises(valtron_http.exceptions.JSONDecodeError) as caught:
        client.get(url + "/e").json()
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, json.JSONDecodeError) and isinstance(error, valtron_http.RequestException)
    assert (str(error), error.pos, error.lineno) == (str(caught.value), caught.value.pos, 1)


def test_duplicate_response_headers(serve, client):
    head = b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-Latin: \xfc\r\nx-empty:\r\n"
    response = client.get(serve(lambda connection, _: connection.sendall(whole(b"", head))).url)
    assert response.headers.get_list("SET-COOKIE") == ["a=1", "b=2"]
    assert ("set-cookie", "b=2") in response.headers.multi_items()
    assert response.headers["x-latin"] == "ü" and response.headers["x-empty"] == ""


def test_raise_for_status(client, site):
    for code, kind in ((404, "Client"), (503, "Server")):
        response = client.get(f"{site.http}/status/{code}")
        with pytest.raises(valtron_http.HTTPStatusError, match=f"{kind} error {code}") as caught:
            response.raise_for_status()
        assert caught.value.response is response and caught.value.request is response.request
        assert caught.value.host == "127.0.0.1" and caught.value.elapsed > 0
    assert client.get(site.http + "/status/304").raise_for_status()


def test_pickle(client, site):
    response = pickle.loads(pickle.dumps(client.get(site.http + "/redirect/302?to=/trailers")))
    assert response.content == pattern(1000) and response.trailers["x-last"] == "yes"
    assert response.history[0].status_code == 302 and response.reason == "OK"
    assert response.trace[-1].state == "Done" and response.request.method == "GET"


def test_build_and_send(client, site):
    request = client.build_request("POST", site.http + "/echo", json=[1])
    assert request.headers["content-type"] == "application/json"
    assert echoed(client.send(request))[2] == "[1]"


def test_closed_client(site):
    client = valtron_http.Session()
    client.close()
    client.close()
    assert client.is_closed
    with pytest.raises(valtron_http.ClientClosed):
        client.get(site.http + "/hello")
