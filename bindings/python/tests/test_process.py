"""Signals, forks, threads, the end of the process, and the library that is loaded."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
from conftest import PACKAGE, TREE, whole

import valtron_http
from valtron_http import Client, _native

# Far above what is needed, far below a time-out.
BOUND_SECONDS = 5


def python(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


FETCH = """
import sys, valtron_http
client = valtron_http.Client()
try:
    with client.stream("GET", sys.argv[1]) as response:
        response.read()
except KeyboardInterrupt:
    assert client.stats()["requests_live"] == 0
    print("interrupted")
"""


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"], ids=["head", "body"])
def test_interrupt(serve, part):
    """The signal is sent once the server has seen the request; the client waits for ever otherwise."""
    seen = threading.Event()

    def answer(connection, head):
        connection.sendall(part)
        seen.set()
        return "hold"

    with python("-c", FETCH, serve(answer).url) as process:
        assert seen.wait(60)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert out == "interrupted\n" and process.returncode == 0, err
        assert time.monotonic() - begun < BOUND_SECONDS


def test_a_signal_whose_handler_returns_does_not_disturb(serve, client):
    """The server answers only after the handler has run: the wait was left for it and resumed."""
    ran = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: ran.set())

    def answer(connection, head):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert ran.wait(10)
        connection.sendall(whole(b"after the signal"))

    try:
        assert client.get(serve(answer).url).content == b"after the signal"
    finally:
        signal.signal(signal.SIGUSR1, before)


def in_child(work):
    """Runs *work* in a forked child; its exit code and what it wrote."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # 3.12 warns of forks with threads, which is just what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writer, str(work()).encode())
            code = 0
        except BaseException as error:  # noqa: BLE001
            os.write(writer, repr(error).encode())
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork(client, site):
    """The child goes on with a client and connections of its own; a body half read in the parent is not disturbed."""
    url = site.http + "/hello"
    first = client.get(url).headers["x-connection"]
    stream = client.stream("GET", site.http + "/bytes/3000000")
    pieces = stream.iter_bytes(1000)
    assert len(next(pieces)) == 1000

    def work():
        nonlocal stream, pieces
        answers = [client.get(url).headers["x-connection"] for _ in range(2)]
        assert answers[0] == answers[1] != first
        assert client.get(site.https + "/hello").status_code == 200
        with pytest.raises(valtron_http.HTTPError):
            # What the parent had taken of it is there.
            list(pieces)
        del stream, pieces
        gc.collect()
        client.close()
        with Client() as other:
            return other.get(url).status_code

    assert in_child(work) == (0, "200")
    assert 1000 + sum(len(piece) for piece in pieces) == 3_000_000
    assert client.get(url).status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_of_the_shared_client_while_threads_fetch(site):
    url = site.http + "/hello"
    valtron_http.get(url)
    stop = threading.Event()

    def fetch():
        while not stop.is_set():
            valtron_http.get(url)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert in_child(lambda: valtron_http.get(url).status_code) == (0, "200")
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_threads(client, site):
    """32 threads, one client: each gets its own answers, whole."""
    count, rounds = 32, 15
    together = threading.Barrier(count)
    failures = []

    def fetch(number):
        try:
            together.wait()
            for turn in range(rounds):
                text = client.get(f"{site.http}/echo", params={"who": number, "turn": turn}).text
                assert text.startswith(f"GET /echo?who={number}&turn={turn}\r\n")
                size = number * 5000 + turn
                assert len(client.get(f"{site.https}/chunked/{size}").content) == size
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.stats()["requests_live"] == 0


def test_close_ends_what_other_threads_wait_for(serve):
    seen = threading.Event()

    def answer(connection, head):
        seen.set()
        return "hold"

    url = serve(answer).url
    client = Client()
    caught = []

    def fetch():
        try:
            client.get(url)
        except valtron_http.HTTPError as error:
            caught.append(type(error))

    thread = threading.Thread(target=fetch)
    thread.start()
    assert seen.wait(10)
    client.close()
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive() and caught == [valtron_http.ClientClosed]


def test_exit_with_a_thread_that_still_waits(serve):
    seen = threading.Event()

    def answer(connection, head):
        seen.set()
        return "hold"

    script = """
import sys, threading, valtron_http
client = valtron_http.Client()
threading.Thread(target=client.get, args=(sys.argv[1],), daemon=True).start()
sys.stdin.read()
"""
    with python("-c", script, serve(answer).url, stdin=subprocess.PIPE) as process:
        assert seen.wait(60)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


def test_unclosed_clients_are_told_of_in_dev_mode_only():
    script = "import valtron_http; valtron_http.Client()"
    for mode, expected in ((["-X", "dev"], True), ([], False)):
        with python(*mode, "-W", "default", "-c", script) as process:
            _, err = process.communicate(timeout=60)
            assert process.returncode == 0 and ("ResourceWarning" in err) is expected, err


def test_import_is_lean():
    script = "import sys, valtron_http; print([m for m in ('typing', 'dataclasses', 'json', 'ssl', 'asyncio') if m in sys.modules])"
    # Without site, which in some installations imports half of the library.
    with python("-S", "-c", script) as process:
        out, err = process.communicate(timeout=60)
        assert out == "[]\n", err


# The library.


def import_with(library, source="import valtron_http"):
    with python("-c", source, env={"VALTRON_HTTP_LIB": str(library)}) as process:
        _, err = process.communicate(timeout=60)
        return process.returncode, err


def test_absent_library(tmp_path):
    code, err = import_with(tmp_path / "absent.so")
    assert code == 1 and "ImportError" in err and str(tmp_path / "absent.so") in err and "VALTRON_HTTP_LIB" in err


def test_all_places_are_named(monkeypatch):
    monkeypatch.delenv("VALTRON_HTTP_LIB", raising=False)
    places = _native.candidates()
    assert places[0].startswith(str(PACKAGE / "valtron_http" / "_native"))
    assert any(place.startswith(str(TREE / "target" / "release")) for place in places)
    monkeypatch.setattr(os.path, "exists", lambda path: path.endswith("Cargo.toml"))
    with pytest.raises(ImportError) as caught:
        _native.find()
    assert all(place in str(caught.value) for place in places)


def test_no_library(tmp_path):
    (tmp_path / "text.so").write_text("not a library")
    code, err = import_with(tmp_path / "text.so")
    assert code == 1 and "ImportError" in err and "text.so" in err


STUB = """
const char *valtron_version(void) { return "%s"; }
unsigned valtron_abi_version(void) { return %d; }
"""

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing: no stub library can be built")


@needs_gcc
@pytest.mark.parametrize(("version", "abi"), [("9.8.7", 1), (_native.VERSION, 99), (_native.VERSION, 1)])
def test_wrong_version(tmp_path, version, abi):
    source, library = tmp_path / "stub.c", tmp_path / "libstub.so"
    source.write_text(STUB % (version, abi))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    code, err = import_with(library)
    assert code == 1 and "ImportError" in err and str(library) in err
    if (version, abi) == (_native.VERSION, _native.ABI_VERSION):
        assert "lacks valtron_" in err
    else:
        assert f"version {version} (ABI {abi})" in err
        assert f"version {_native.VERSION} (ABI {_native.ABI_VERSION})" in err


STRUCTS = {
    "error_detail": _native.ErrorDetail,
    "spawn": _native.SpawnQuestion,
    "client_config": _native.ClientConfig,
    "header": _native.HeaderLine,
    "request_config": _native.RequestConfig,
    "request_info": _native.RequestInfo,
    "head": _native.Head,
    "trace_entry": _native.TraceEntry,
    "stats": _native.Stats,
}


@needs_gcc
@pytest.mark.skipif(not (TREE / "include" / "valtron_http.h").exists(), reason="the tree's header is not here")
def test_layout(tmp_path):
    """Size and every offset of every struct, as the C compiler has them."""
    lines, ours = [], {}
    for name, struct in STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(valtron_{name}));')
        ours[name] = _native.sizeof(struct)
        for field in struct._fields_:
            lines.append(f'printf("{name}.{field[0]} %zu\\n", offsetof(valtron_{name}, {field[0]}));')
            ours[f"{name}.{field[0]}"] = getattr(struct, field[0]).offset
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <valtron_http.h>\n"
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    program = tmp_path / "layout"
    subprocess.run(["gcc", "-I", TREE / "include", "-o", program, source], check=True)
    out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert {key: int(value) for key, value in (line.split() for line in out.splitlines())} == ours


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("how", ["bound method", "closure", "attribute"])
def test_a_dropped_client_is_collected_whatever_its_hook_holds(how):
    """The hook reaches the client, the client the hook: a cycle, and nothing outside may hold it."""

    class Owner:
        def __init__(self):
            if how == "closure":
                client = Client(on_spawn=lambda spawn: client.is_closed)
            else:
                client = Client(on_spawn=self.hook if how == "bound method" else self)
            self.client = client

        def hook(self, spawn):
            return "run"

        __call__ = hook

    Owner()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        Owner()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_newest_library_of_the_tree_is_taken(tmp_path, monkeypatch):
    """An old release build does not hide the debug build just made, and the other way round."""
    package = tmp_path / "bindings" / "python" / "valtron_http"
    package.mkdir(parents=True)
    (tmp_path / "Cargo.toml").write_text("")
    monkeypatch.delenv("VALTRON_HTTP_LIB", raising=False)
    monkeypatch.setattr(_native, "__file__", str(package / "_native.py"))
    libraries = {kind: tmp_path / "target" / kind / _native.library_name() for kind in ("release", "debug")}
    for library in libraries.values():
        library.parent.mkdir(parents=True)
        library.write_text("")
    for older, newer in (("release", "debug"), ("debug", "release")):
        os.utime(libraries[older], (1000, 1000))
        os.utime(libraries[newer], (2000, 2000))
        assert _native.find() == str(libraries[newer])
    libraries["release"].unlink()
    assert _native.find() == str(libraries["debug"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_response_of_the_parent_is_refused_in_the_child(client, site):
    stream = client.stream("GET", site.http + "/bytes/3000000")

    def work():
        try:
            stream.read()
        except valtron_http.Forked as error:
            assert isinstance(error, RuntimeError) and not isinstance(error, valtron_http.Cancelled)
            return error.status_name

    assert in_child(work) == (0, "FORKED")
    assert len(stream.read()) == 3_000_000


def test_threads_that_read_one_response(client, site):
    """All of them get the whole body, by turns; none gets a part of it."""
    for _ in range(20):
        response = client.stream("GET", site.http + "/chunked/600000")
        together = threading.Barrier(4)
        lengths, failures = [], []

        def read(response=response, together=together, lengths=lengths, failures=failures):
            try:
                together.wait()
                lengths.append(len(response.read()))
                response.timings, response.trailers, response.trace  # noqa: B018
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [] and lengths == [600_000] * 4
    assert client.stats()["requests_live"] == 0


def test_threads_that_iterate_over_one_response(client, site):
    """One gets the body, the others are told that it is taken."""
    for _ in range(20):
        response = client.stream("GET", site.http + "/chunked/600000")
        together = threading.Barrier(4)
        lengths, refused = [], []

        def read(response=response, together=together, lengths=lengths, refused=refused):
            together.wait()
            try:
                lengths.append(sum(len(piece) for piece in response.iter_bytes()))
            except valtron_http.StreamConsumed:
                refused.append(1)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert lengths == [600_000] and len(refused) == 3


def test_a_response_closed_by_another_thread(client, site):
    """The reader is told that it was closed, not of a bug."""
    response = client.stream("GET", site.http + "/stall/body")
    begun, caught = threading.Event(), []

    def read():
        try:
            for piece in response.iter_bytes():
                assert piece == b"half"
                begun.set()
        except valtron_http.HTTPError as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(10)
    response.close()
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive()
    assert [type(error) for error in caught] == [valtron_http.Cancelled] and "closed" in str(caught[0])
    assert client.stats()["requests_live"] == 0
