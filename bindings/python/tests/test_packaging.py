"""What the build hook puts into a wheel. hatchling itself is not needed: its interface is one attribute."""

import importlib.util
import sys
import types

import pytest
from conftest import PACKAGE

pytestmark = pytest.mark.skipif(not (PACKAGE / "hatch_build.py").exists(), reason="the build hook is not here")


@pytest.fixture
def build(monkeypatch, tmp_path):
    """Runs the hook as hatchling would, for a package at *tmp_path*."""
    names = "hatchling.builders.hooks.plugin.interface".split(".")
    for end in range(1, len(names) + 1):
        monkeypatch.setitem(sys.modules, ".".join(names[:end]), types.ModuleType(names[end - 1]))
    sys.modules[".".join(names)].BuildHookInterface = object
    spec = importlib.util.spec_from_file_location("hatch_build", PACKAGE / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("VALTRON_HTTP_PREBUILT", raising=False)
    monkeypatch.delenv("VALTRON_HTTP_WHEEL_PLATFORM", raising=False)

    def run():
        hook, data = module.LibraryHook(), {"force_include": {}}
        hook.root = str(tmp_path / "bindings" / "python")
        hook.initialize("standard", data)
        return data

    return run


def test_a_library_makes_a_wheel_of_its_platform(build, monkeypatch, tmp_path):
    library = tmp_path / "built.so"
    library.write_text("")
    monkeypatch.setenv("VALTRON_HTTP_PREBUILT", str(library))
    monkeypatch.setenv("VALTRON_HTTP_WHEEL_PLATFORM", "manylinux_2_17_x86_64")
    data = build()
    assert data["tag"] == "py3-none-manylinux_2_17_x86_64" and data["pure_python"] is False
    assert [place.startswith("valtron_http/_native/") for place in data["force_include"].values()] == [True]


def test_without_a_library_the_build_says_what_to_do(build):
    with pytest.raises(FileNotFoundError, match="VALTRON_HTTP_PREBUILT=none"):
        build()


def test_a_wheel_that_has_no_library_on_purpose(build, monkeypatch):
    monkeypatch.setenv("VALTRON_HTTP_PREBUILT", "none")
    assert build() == {"force_include": {}}
