"""Headers, Timeout, codes: no network."""

import pytest

from valtron_http import Headers, InvalidArgument, Timeout, codes


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
