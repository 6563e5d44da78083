"""The on_spawn hook: run, deny, take; and what it raises."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pytest

import valtron_http
from valtron_http import Client, _native, exceptions


def asking(site, hook, kinds=("redirect", "tls", "resolve"), **options):
    return Client(verify=site.ca, on_spawn=hook, spawn_kinds=kinds, **options)


def test_questions(site):
    asked = []
    with asking(site, asked.append) as client:
        response = client.get(site.http.replace("127.0.0.1", "localhost") + "/redirect/302?to=" + site.https + "/hello")
    assert response.text == "hello, world\n"
    kinds = [spawn.kind for spawn in asked]
    assert kinds.count("redirect") == 1 and "tls" in kinds and "resolve" in kinds
    redirect = next(spawn for spawn in asked if spawn.kind == "redirect")
    assert redirect.target == site.https + "/hello" and redirect.host == "localhost" and redirect.status == 302
    tls = [spawn for spawn in asked if spawn.kind == "tls"]
    assert [spawn.step for spawn in tls] == list(range(len(tls)))
    assert {(spawn.target, spawn.port) for spawn in tls} == {("localhost", int(site.https.rpartition(":")[2]))}


def test_only_the_kinds_asked_for(site):
    asked = []
    with asking(site, asked.append, ["redirect"]) as client:
        client.get(site.https + "/hello")
        assert asked == []
    with pytest.raises(ValueError, match="spawn_kinds"):
        asking(site, asked.append, ["other"])


def test_deny_a_redirect(site):
    with asking(site, lambda spawn: "deny" if spawn.kind == "redirect" else "run") as client:
        response = client.get(site.http + "/redirect/302?to=/hello")
    assert response.status_code == 302 and response.history == [] and response.content == b"elsewhere\n"
    assert [step.state for step in response.trace][-3:] == ["AwaitingRedirect", "ReceivingBody", "Done"]


@pytest.mark.parametrize("kind", ["tls", "resolve"])
def test_deny(site, kind):
    with asking(site, lambda spawn: spawn.kind != kind) as client:
        with pytest.raises(exceptions.Denied) as caught:
            client.get(site.https + "/hello")
        assert caught.value.phase == kind and caught.value.host == "localhost"
        assert client.get(site.http + "/hello").status_code == 200


def test_hitches(site):
    """The longest step is told with its cause, polls with their longest and by duration, and all is forgotten on request."""
    with Client(verify=site.ca) as client:
        nothing = {"longest_step": 0.0, "kind": "none", "polls": 0, "longest_poll": 0.0, "poll_counts": [0] * 16}
        assert client.hitches() == nothing
        client.get(site.https + "/hello")
        longest = client.hitches(reset=True)
        assert 0 < longest["longest_step"] < 10
        assert longest["kind"] in ("start", "resolve", "tls_start", "tls_handshake", "send", "head", "body")
        assert client.hitches() == nothing
        # The package itself only waits.
        poll = ctypes.CDLL(_native.path).valtron_client_poll
        poll.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p]
        assert poll(client._native().pointer, 0, None) == 0
        polled = client.hitches()
        assert polled["polls"] == sum(polled["poll_counts"]) == 1 and 0 < polled["longest_poll"] < 10


@pytest.mark.parametrize("kind", ["tls", "resolve"])
def test_take(site, kind):
    """The jobs run on the pool's threads while the request waits."""
    with ThreadPoolExecutor(2) as pool:
        futures = []

        def hook(spawn):
            if spawn.kind == kind:
                futures.append(pool.submit(spawn.take().run))

        with asking(site, hook) as client:
            assert client.get(site.https + "/hello").text == "hello, world\n"
            assert client.stats()["jobs_taken"] == len(futures) > 0
            assert client.stats()["jobs_expired"] == 0
        for future in futures:
            assert future.result() is None


def test_a_job_runs_once(site):
    jobs = []
    with ThreadPoolExecutor(1) as pool:

        def hook(spawn):
            if spawn.kind == "tls":
                jobs.append(spawn.take())
                assert spawn.take() is jobs[-1]
                pool.submit(jobs[-1].run)

        with asking(site, hook) as client:
            client.get(site.https + "/hello")
    with pytest.raises(exceptions.JobError) as caught:
        jobs[0].run()
    assert caught.value.status_name == "JOB_ALREADY_RUN"


def test_a_job_never_run_expires(site):
    jobs = []

    def hook(spawn):
        if spawn.kind == "tls":
            jobs.append(spawn.take())

    with asking(site, hook, job_timeout=0.02) as client:
        assert client.get(site.https + "/hello").text == "hello, world\n"
        assert client.stats()["jobs_expired"] == len(jobs) > 0
    with pytest.raises(exceptions.JobError) as caught:
        jobs[0].run()
    assert caught.value.status_name == "JOB_EXPIRED"


@pytest.mark.parametrize("kind", ["redirect", "tls", "resolve"])
def test_an_exception_in_the_hook_is_raised_by_the_request(site, kind):
    def hook(spawn):
        if spawn.kind == kind:
            raise LookupError(f"asked about {spawn.kind}")

    with asking(site, hook) as client:
        with pytest.raises(LookupError, match="asked about " + kind):
            client.get(f"{site.https}/redirect/302?to=/hello")
        assert client.stats()["requests_live"] == 0
        assert client.get(site.http + "/hello").status_code == 200


def test_wrong_answers(site):
    for answer, message in (("maybe", "not 'maybe'"), ("take", r"call spawn\.take")):
        with asking(site, lambda spawn, answer=answer: answer) as client, pytest.raises(ValueError, match=message):
            client.get(site.https + "/hello")


def test_take_of_a_redirect_has_no_work(site):
    def hook(spawn):
        if spawn.kind == "redirect":
            spawn.take()

    with asking(site, hook) as client:
        try:
            assert client.get(site.http + "/redirect/302?to=/hello").text == "hello, world\n"
        except ValueError as error:
            assert "no work to take" in str(error)


def test_the_hook_may_use_the_client(site):
    found = []

    def hook(spawn):
        if spawn.kind == "redirect" and not found:
            found.append(client.get(site.http + "/hello").text)

    with asking(site, hook) as client:
        assert client.get(site.http + "/redirect/302?to=/hello").text == "hello, world\n"
    assert found == ["hello, world\n"]
    assert valtron_http.Spawn.__doc__
