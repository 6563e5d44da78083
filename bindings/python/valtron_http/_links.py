"""The ``Link`` header (RFC 8288 section 3). By hand and in one pass: a server must not choose how long it takes."""

from __future__ import annotations


def parse(text: str) -> list[dict[str, str]]:
    """Each link with ``url`` and its parameters, as far as the header can be understood."""
    found: list[dict[str, str]] = []
    at = 0
    while True:
        start = text.find("<", at)
        end = text.find(">", start)
        if start < 0 or end < 0:
            return found
        link = {"url": text[start + 1 : end]}
        found.append(link)
        at = _skip(text, end + 1)
        while text[at : at + 1] == ";":
            name, at = _until(text, at + 1, "=;,")
            if text[at : at + 1] != "=":
                continue
            at = _skip(text, at + 1)
            if text[at : at + 1] == '"':
                value, at = _quoted(text, at + 1)
            else:
                value, at = _until(text, at, ";,")
            # The first one counts (RFC 8288 section 3.3).
            link.setdefault(name.lower(), value)
            at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _until(text: str, at: int, ends: str) -> tuple[str, int]:
    start = at
    while at < len(text) and text[at] not in ends:
        at += 1
    return text[start:at].strip(), at


def _quoted(text: str, at: int) -> tuple[str, int]:
    """From after the opening quote to after the closing one, or to the end."""
    out = []
    while at < len(text) and text[at] != '"':
        at += text[at] == "\\"
        out.append(text[at : at + 1])
        at += 1
    return "".join(out), at + 1
