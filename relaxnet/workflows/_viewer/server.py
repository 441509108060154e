"""A server of maps for the browser of this machine alone."""

import json
from collections.abc import Callable
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from relaxnet._messages import brief
from relaxnet.errors import MissingExtraError, how_to_add
from relaxnet.fitting import FitStatus
from relaxnet.plots import decay_figure
from relaxnet.workflows._report.page import Picture, cell, svg
from relaxnet.workflows._viewer.maps import Decay, MapFolder, title_of

HOST = "127.0.0.1"
_POLICY = (
    "default-src 'self' blob: data:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'"
)


class Server(ThreadingHTTPServer):
    """Serves the page, its viewer, and the maps of one folder; nothing else."""

    daemon_threads = True

    def __init__(self, maps: MapFolder, port: int = 0) -> None:
        self.maps, self.drawing = maps, Lock()  # figures are drawn one at a time: their colours are set for all
        self.static = {
            "/": (files(__package__) / "page.html", "text/html; charset=utf-8"),
            "/niivue.umd.js": (_niivue(), "text/javascript"),
        }
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[bytes, str]:
        """Return content and type of what is asked for; a LookupError or a ValueError if there is no such thing."""
        if path in self.static:
            file, kind = self.static[path]
            return file.read_bytes(), kind
        if path == "/maps":
            names = [file.relative_to(self.maps.folder).as_posix() for file in self.maps.paths]
            return json.dumps(names).encode(), "application/json"
        number = int(query["map"][0])
        if not 0 <= number < len(self.maps.paths):
            raise LookupError(number)
        answers: dict[str, Callable[[], tuple[bytes, str]]] = {
            "/map.nii": lambda: (self.maps.nifti(number), "application/octet-stream"),
            "/about": lambda: (json.dumps(self.maps.about(number)).encode(), "application/json"),
            "/voxel": lambda: (self._voxel(number, query).encode(), "text/html; charset=utf-8"),
        }
        return answers[path]()

    def _voxel(self, number: int, query: dict[str, list[str]]) -> str:
        """Write what is known of a voxel as a piece of HTML."""
        mm = [float(query[axis][0]) for axis in "xyz"]
        voxel = self.maps.voxel_at(number, mm) if np.isfinite(mm).all() else None
        if voxel is None:
            return "<p>This is outside the map.</p>"
        rows = [
            f"<tr><th scope=row>{escape(name)}</th><td>{_value(name, value)}</td><td>{escape(unit)}</td></tr>"
            for name, value, unit in self.maps.values_at(number, voxel)
        ]
        decays = self.maps.decays_at(number, voxel)
        with self.drawing:
            drawn = [_draw(decay, voxel, f"d{k}") for k, decay in enumerate(decays)]
        note = "" if all(decay.samples is not None for decay in decays) else "<p>The scan is not here: see --scan.</p>"
        title = f"<h2>Voxel {', '.join(map(str, voxel))}</h2>"
        return f"{title}{''.join(drawn)}{note}<table>{''.join(rows)}</table>"


def _niivue() -> Traversable:
    """Find the script that shows the maps, or say which package brings it."""
    if find_spec("relaxnet_viewer") is None:
        raise MissingExtraError(f"NiiVue, which shows maps, is not installed: {how_to_add('relaxnet-viewer')}.")
    return files("relaxnet_viewer") / "niivue.umd.js"


def _value(name: str, value: float) -> str:
    if "desc-status" in name and value in {*map(int, FitStatus)}:
        return FitStatus(int(value)).name
    return cell(value)


def _draw(decay: Decay, voxel: tuple[int, ...], prefix: str) -> str:
    """Draw the decay of a voxel as SVG."""
    one, title = decay.contrast, title_of(decay, voxel)
    if decay.result is None:
        return f"<p>{escape(title)}</p>"
    samples = np.full(len(one.times_ms), np.nan) if decay.samples is None else decay.samples
    draw = partial(
        decay_figure, decay.result, samples[None], one, voxels=[(0,)], name=one.name, model=one.model, titles=[title]
    )
    return f'<figure class="decay" aria-label="{escape(title)}">{svg(Picture(draw, title), prefix)}</figure>'


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "relaxnet"

    def do_GET(self) -> None:
        """Answer the browser of this machine."""
        if self.headers.get("Host") not in {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}:
            self.send_error(HTTPStatus.FORBIDDEN)  # another page asks by a name that it let point here
            return
        asked = urlsplit(self.path)
        try:
            content, kind = self.server.answer(asked.path, parse_qs(asked.query))
        except LookupError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        except (ValueError, OSError) as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=brief(str(error)))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing for each request."""
