"""The examples tell a fetch that failed from one that did not, by their exit codes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, TREE

from valtron_http import native_library

pytestmark = pytest.mark.skipif(not (TREE / "examples").is_dir(), reason="the tree's examples are not here")


@pytest.fixture(scope="module", params=["c", "python"])
def fetch(request, tmp_path_factory):
    if request.param == "python":
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "VALTRON_HTTP_LIB": native_library()}
        return [sys.executable, str(TREE / "examples/python/fetch.py")], environment
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: the C example cannot be built")
    place = tmp_path_factory.mktemp("example")
    # The name to link by and the one that the program asks for when it starts.
    for name in ("libvaltron_http.so", "libvaltron_http.so.0"):
        (place / name).symlink_to(Path(native_library()).resolve())
    program = place / "fetch"
    command = ["gcc", "-std=gnu11", "-I", TREE / "include", "-o", program, TREE / "examples/c/fetch.c"]
    subprocess.run([*command, f"-L{place}", "-lvaltron_http", f"-Wl,-rpath,{place}"], check=True)
    return [str(program)], os.environ


def run(fetch, *arguments):
    command, environment = fetch
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_success(fetch, site):
    code, out, err = run(fetch, site.http + "/hello")
    assert code == 0 and "200" in out and err == ""
    assert run(fetch, site.http + "/hello", "--quiet") == (0, "", "")


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_status_is_a_failure(fetch, site, status):
    code, out, err = run(fetch, f"{site.http}/status/{status}")
    assert code == 1 and str(status) in out
    assert err.startswith("fetch: ") and f"{status}" in err and err.count("\n") == 1
    code, out, err = run(fetch, f"{site.http}/status/{status}", "--quiet")
    assert code == 1 and out.strip() == "" and str(status) in err


def test_a_failed_fetch(fetch, site):
    code, _, err = run(fetch, site.expired + "/hello", "--ca-file", site.ca)
    assert code == 1 and "expired" in err


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_no_failure(fetch, option):
    for arguments in ([option], ["http://host.invalid/", option]):
        code, out, err = run(fetch, *arguments)
        assert (code, err) == (0, "") and out.startswith("usage: fetch")
        for word in ("URL", "--ca-file FILE", "--quiet", "--help"):
            assert word.lower() in out.lower()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--quiet"],
        ["http://host.invalid/", "--frob"],
        ["--frob", "http://host.invalid/"],
        ["http://host.invalid/", "http://other.invalid/"],
        ["http://host.invalid/", "--ca-file"],
        ["http://host.invalid/", "--ca-file", "/absent.pem"],
    ],
)
def test_called_wrongly(fetch, arguments):
    """Nothing is fetched, and the usage stands where it is not taken for the answer."""
    code, out, err = run(fetch, *arguments)
    assert (code, out) == (2, "") and err.startswith("usage: fetch") and "fetch: error: " in err.replace("fetch.py", "fetch")


def test_a_file_without_certificates(fetch, tmp_path):
    file = tmp_path / "empty.pem"
    file.write_text("nothing\n")
    code, out, err = run(fetch, "http://host.invalid/", "--ca-file", str(file))
    assert code == 1 and out.strip() == "" and "certificate" in err
