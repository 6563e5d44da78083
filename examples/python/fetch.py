#!/usr/bin/env python3
"""Fetches URL and shows how: the states as they pass, the head, progress, speed and the time of each phase.

    python3 examples/python/fetch.py URL [--ca-file FILE] [--quiet] [--help]

The exit code is 0 if the response came whole and its status is below 400, 1 if not, 2 if it was called wrongly.
"""

import argparse
import sys

import valtron_http

BAR_WIDTH = 40


class Display:
    """Prints each state on a line of its own; on a terminal a bar that is drawn over, elsewhere a line per tenth."""

    def __init__(self, quiet):
        self.quiet = quiet
        self.terminal = sys.stdout.isatty()
        self.last = None
        self.tenth = -1
        self.bar_open = False

    def state(self, progress):
        if self.quiet:
            return
        key = (progress.state, progress.hop)
        if key != self.last:
            self.last = key
            self.line(f"{progress.at * 1000:9.1f} ms  {'  ' * progress.hop}{progress.state}")

    def bar(self, received, total):
        if self.quiet or not total:
            return
        share = min(received / total, 1.0)
        tenth = int(share * 10)
        if not self.terminal and tenth == self.tenth:
            return
        self.tenth = tenth
        full = int(share * BAR_WIDTH)
        text = f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] {share:4.0%} {size(received)}"
        if self.terminal:
            print("\r" + text, end="", flush=True)
            self.bar_open = True
        else:
            print(text)

    def line(self, text):
        if self.bar_open:
            print()
            self.bar_open = False
        print(text, flush=True)


def size(count):
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def fetch(url, ca_file, display):
    with valtron_http.Client(ca_file=ca_file) as client:
        with client.stream("GET", url, on_progress=display.state) as response:
            received = 0
            for piece in response.iter_bytes():
                received += len(piece)
                display.bar(received, response.body_total)
    return response, received


def report(response, received, display):
    display.line("")
    for hop in response.history:
        print(f"{hop.status_code} {hop.reason_phrase}  {hop.url} -> {hop.headers.get('location')}")
    print(f"{response.status_code} {response.reason_phrase}  {response.url}")
    for name, value in response.headers.multi_items():
        print(f"  {name}: {value}")
    for name, value in response.trailers.multi_items():
        print(f"  (trailer) {name}: {value}")
    seconds = response.elapsed.total_seconds()
    speed = f"{size(received / seconds)}/s" if seconds > 0 else "at once"
    print(f"{size(received)} in {seconds * 1000:.1f} ms, {speed}")
    print("Until the end of each phase:")
    for name, at in response.timings:
        if at is not None:
            print(f"  {name:<12}{at * 1000:9.1f} ms")


def main():
    parser = argparse.ArgumentParser(prog="fetch", description="Fetches URL and shows how.")
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--ca-file", metavar="FILE", help="a PEM file whose certificates are trusted instead of the bundled ones")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless the fetch fails")
    arguments = parser.parse_args()
    if arguments.ca_file is not None:
        try:
            open(arguments.ca_file, "rb").close()
        except OSError as error:
            parser.error(f"cannot be read: {arguments.ca_file}: {error.strerror}")
    display = Display(arguments.quiet)
    try:
        response, received = fetch(arguments.url, arguments.ca_file, display)
        if not arguments.quiet:
            report(response, received, display)
        response.raise_for_status()
    except valtron_http.HTTPError as error:
        display.line("")
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        display.line("")
        print("fetch: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
