"""Say what a built site would fetch from elsewhere: `python -m hack.docs.offline build/site`."""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
NOT_FETCHED = frozenset(("canonical", "prev", "next", "alternate"))
_STYLE = re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")


class Fetched(HTMLParser):
    """Collects what a browser fetches by itself from another host; links to follow are none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        given = dict(attrs)
        address = given.get(FETCHED.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")) and given.get("rel") not in NOT_FETCHED:
            self.found.append(address)


def foreign(site: Path) -> Iterator[str]:
    """Name each file with each address."""
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            page = Fetched()
            page.feed(path.read_text(encoding="utf-8"))
            yield from (f"{path}: {address}" for address in page.found)
        elif path.suffix == ".css":
            text = path.read_text(encoding="utf-8")
            yield from (f"{path}: {address}" for address in _STYLE.findall(text))


if __name__ == "__main__":
    told = list(foreign(Path(sys.argv[1])))
    for line in told:
        print(f"{line} is fetched from elsewhere; ship it with the site", file=sys.stderr)
    sys.exit(1 if told else 0)
