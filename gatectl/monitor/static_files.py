"""The style sheets, scripts and pictures that come with the pages."""

from __future__ import annotations

import hashlib
from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

YEAR_S = 365 * 86_400

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class StaticFiles:
    """All static files, read once, so that no path is ever made from a browser's request."""

    def __init__(self) -> None:
        folder = resources.files("gatectl.monitor") / "static"
        self._files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}

    def address(self, name: str) -> str:
        """Return the address, which contains the content's digest: a changed file has another address."""
        return f"/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:12]}"

    async def answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            raise HTTPException(404)
        caching = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=caching)
