"""A wrong argument is refused where it is given, by its name: not later, and not by ctypes."""

import pytest

from valtron_http import Client, InvalidHeader, Request
from valtron_http import get as module_get

WRONG_SETTINGS = [
    ("auth", 5),
    ("auth", ("a",)),
    ("auth", ("a", 5)),
    ("params", 5),
    ("params", ["a"]),
    ("params", {"a": {"b": 1}}),
    ("params", b"\xff"),
    ("headers", 5),
    ("headers", "x: y"),
    ("headers", {"x": 5.5}),
    ("headers", {5.5: "x"}),
    ("verify", 3),
    ("verify", None),
    ("verify", b"no certificate"),
    ("trust", 5),
    ("trust", "nobody"),
    ("ca_file", 5),
    ("ca_file", True),
    ("timeout", "5"),
    ("timeout", [1, 2]),
    ("timeout", (1, "2")),
    ("follow_redirects", "no"),
    ("follow_redirects", None),
    ("max_redirects", "3"),
    ("allow_insecure_redirects", "no"),
    ("base_url", 5),
    ("base_url", ["http://host/"]),
    ("on_spawn", 5),
    ("spawn_kinds", 5),
    ("spawn_kinds", "redirect"),
    ("spawn_kinds", ["redirects"]),
    ("spawn_kinds", [[]]),
    ("job_timeout", "5"),
    ("default_encoding", 5),
]

WRONG_ARGUMENTS = [
    ("params", 5),
    ("params", b"\xff"),
    ("data", 5),
    ("data", object()),
    ("json", object()),
    ("json", {"a": float("nan")}),
    ("content", 5),
    ("headers", 5),
    ("headers", {"x": 5.5}),
    ("auth", 5),
    ("timeout", "5"),
    ("follow_redirects", "no"),
    ("allow_redirects", "no"),
    ("stream", "yes"),
    ("on_progress", 5),
]


def refused(name, call, *arguments, **options):
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b") as caught:
        call(*arguments, **options)
    # The interpreter's own would name an option that does not exist.
    assert "unexpected keyword" not in str(caught.value) and "argument 1" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), WRONG_SETTINGS)
def test_settings(name, value):
    refused(name, Client, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [row for row in WRONG_SETTINGS if isinstance(getattr(Client, row[0], None), property)]
)
def test_settings_set_later(name, value):
    with Client() as client:
        before = getattr(client, name)
        refused(name, setattr, client, name, value)
        assert getattr(client, name) == before


def test_every_setting_that_can_be_set_later_is_checked():
    named = "auth params headers verify timeout follow_redirects max_redirects base_url default_encoding".split()
    assert all(isinstance(getattr(Client, name), property) for name in named)


@pytest.mark.parametrize(("name", "value"), WRONG_ARGUMENTS)
def test_arguments(name, value):
    with Client() as client:
        # Nothing is looked up: the name has no address, which would be another error.
        refused(name, client.request, "POST", "http://name.invalid/", **{name: value})
        assert client.stats()["requests_created"] == 0
    refused(name, module_get, "http://name.invalid/", **{name: value})


@pytest.mark.parametrize(("method", "url", "name"), [(5, "http://h/", "method"), (None, "http://h/", "method"), ("GET", 5, "url")])
def test_method_and_url(method, url, name):
    with Client() as client:
        refused(name, client.request, method, url)
    refused(name, Request, method, url)


def test_a_header_is_named():
    with pytest.raises(InvalidHeader, match="'x-app'"):
        Client(headers={"x-app": 5.5})


def test_what_send_is_given():
    with Client() as client:
        refused("request", client.send, "GET http://h/")
        refused("content", Request, "POST", "http://h/", content="text")
        request = Request("POST", "http://name.invalid/")
        request.content = "text"
        refused("content", client.send, request)


def test_parameters_of_a_client():
    """To be changed in place, as those of requests' Session; pieces that can be had once are kept."""
    with Client() as client:
        assert client.build_request("GET", "http://h/").url == "http://h/"
        client.params["a"] = 1
        assert client.build_request("GET", "http://h/").url == "http://h/?a=1"
        client.params = None
        assert client.build_request("GET", "http://h/").url == "http://h/"
        client.params = (pair for pair in [("a", 1), ("b", 2)])
        for _ in range(2):
            assert client.build_request("GET", "http://h/").url == "http://h/?a=1&b=2"
