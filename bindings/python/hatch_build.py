"""Puts the prebuilt library into the wheel.

``VALTRON_HTTP_PREBUILT`` names the library; else the built tree's release library is taken. ``none`` makes a wheel without one,
for every platform: its users name theirs in ``VALTRON_HTTP_LIB``. One wheel with a library serves every Python of a
platform, for ctypes uses no interface of CPython: ``py3-none-PLATFORM``. ``VALTRON_HTTP_WHEEL_PLATFORM`` overrides the platform
(e.g. ``manylinux_2_17_x86_64``) for libraries built against an older system.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        name = {"win32": "valtron_http.dll", "darwin": "libvaltron_http.dylib"}.get(sys.platform, "libvaltron_http.so")
        tree = os.path.join(self.root, "..", "..", "target", "release", name)
        library = os.environ.get("VALTRON_HTTP_PREBUILT") or tree
        if library == "none":
            return
        if not os.path.isfile(library):
            raise FileNotFoundError(
                f"no library at {library}: run `cargo build --release` in the tree, or name a built one in VALTRON_HTTP_PREBUILT; "
                "VALTRON_HTTP_PREBUILT=none makes a wheel without one, for use with VALTRON_HTTP_LIB"
            )
        platform = os.environ.get("VALTRON_HTTP_WHEEL_PLATFORM") or sysconfig.get_platform()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform.replace('-', '_').replace('.', '_')}"
        build_data["force_include"][library] = f"valtron_http/_native/{name}"
