"""The README's examples run, in their order, against the site."""

import re
from pathlib import Path


def test_examples(site, capsys):
    text = (Path(__file__).parent.parent / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 6
    names = {}
    for block in blocks:
        exec(compile(block.replace("https://example.org", site.http), "README.md", "exec"), names)
    names["pool"].shutdown()
    assert "first byte" in capsys.readouterr().out
    assert names["created"].text.endswith('{"name":"x"}') and "x-app" not in names["plain"].request.headers
