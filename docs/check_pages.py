"""What built pages obey: no request to another server, no link that is dead, and a text for each picture."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def problems(folder: Path) -> list[str]:
    """Read all pages, and list what is wrong with them.

    Parameters
    ----------
    folder
        Where the pages are.

    Returns
    -------
    list of str
        One line for each problem; none if all is well.
    """
    paths = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)  # a template of the theme
    pages = {path: _read(path) for path in paths}
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder).as_posix()
        found += [f"{name}: asks another server for {url}" for url in page.loaded if urlsplit(url).netloc]
        found += [f"{name}: a picture without a text, {source}" for source in page.untold]
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc or path.name in ("search.html", "genindex.html"):
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.exists():
                found.append(f"{name}: nothing at {link}")
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors:
                found.append(f"{name}: no such place, {link}")
    return found


def _read(path: Path) -> "_Page":
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


class _Page(HTMLParser):
    """Links, anchors, pictures and what is loaded of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.untold: list[str] = []
        self.anchors = {"", "top"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        """Note what a tag refers to."""
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        source = given.get("src")
        if tag in ("script", "img", "iframe", "source", "video") and source:
            self.loaded.append(source)
            self.links.append(source)
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon", "modulepreload"):
            self.loaded.append(given.get("href") or "")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and ("alt" not in given or (given["alt"] and given["alt"] == source)):
            self.untold.append(str(source))
