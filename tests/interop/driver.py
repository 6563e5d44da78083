"""Fetches URL twice on one client and compares status and body with a file: driver.py URL FILE CA."""

import hashlib
import sys

import valtron_http


def main() -> int:
    url, path, ca_file = sys.argv[1:4]
    with open(path, "rb") as file:
        expected = hashlib.sha256(file.read()).hexdigest()
    with valtron_http.Client(ca_file=ca_file) as client:
        for attempt in (1, 2):
            response = client.get(url)
            found = hashlib.sha256(response.content).hexdigest()
            print(attempt, url, response.status_code, len(response.content), found)
            if response.status_code != 200 or found != expected:
                print("expected 200 and", expected)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
