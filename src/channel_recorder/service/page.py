"""The page to hold a call on: a few static files that `scripts/build_page.py` puts beside this module."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from channel_recorder.service.gate import origin_of

FOLDER = Path(__file__).parent / "page"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
COMPRESS_FROM_BYTES = 1024
MISSING = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>channel-recorder</title>"
    "<p>The channel server runs, but its page was not built: run <code>python3 scripts/build_page.py</code>."
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Asset:
    content_type: str
    content: bytes = field(repr=False)
    compressed: bytes = field(repr=False)
    tag: str

    @classmethod
    def read(cls, path: Path) -> Asset:
        content = path.read_bytes()
        compressed = gzip.compress(content, mtime=0) if len(content) > COMPRESS_FROM_BYTES else b""
        return cls(CONTENT_TYPES[path.suffix], content, compressed, hashlib.sha256(content).hexdigest()[:20])


def read_assets(folder: Path) -> dict[str, Asset]:
    """By name, all in memory: a request is looked up here and never becomes a path."""
    found = folder.iterdir() if folder.is_dir() else ()
    return {path.name: Asset.read(path) for path in found if path.suffix in CONTENT_TYPES}


def install_page(app: FastAPI, folder: Path, client_url: str | None) -> None:
    assets = read_assets(folder)

    def serve(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            return Response("there is nothing at this address", 404, media_type="text/plain")
        return _asset_response(request, asset, client_url)

    async def index(request: Request) -> Response:
        return serve(request, "index.html") if "index.html" in assets else HTMLResponse(MISSING)

    async def docs(request: Request) -> Response:
        return serve(request, "docs.html")

    async def asset(request: Request, name: str) -> Response:
        return serve(request, name)

    for path, endpoint in (("/", index), ("/docs", docs), ("/page/{name}", asset)):
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def _asset_response(request: Request, asset: Asset, client_url: str | None) -> Response:
    is_compressed = bool(asset.compressed) and "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{asset.tag}{"-gz" if is_compressed else ""}"'
    headers = HEADERS | {"ETag": tag, "Vary": "Accept-Encoding"}
    if asset.content_type.startswith("text/html"):
        headers["Content-Security-Policy"] = content_security_policy(origin_of(request), client_url)
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    content = asset.compressed if is_compressed else asset.content
    return Response(content, headers=headers, media_type=asset.content_type)


def content_security_policy(origin: str, client_url: str | None) -> str:
    # 'self' covers WebSockets in browsers of today; Safari before 15.4 wants them named.
    own = f"ws://{origin} wss://{origin}" if origin else ""
    other = _connect_sources(client_url) if client_url else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            " ".join(filter(None, ("connect-src 'self'", own, other))),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _connect_sources(url: str) -> str:
    """The SDK asks the server over HTTP as well."""
    authority = url.partition("://")[2].partition("/")[0]
    return f"ws://{authority} wss://{authority} http://{authority} https://{authority}"
