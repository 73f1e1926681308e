"""`/models/`: the model files that pages may run themselves, with addresses that never change."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from antiphon_proto import models

RECOGNISER, RUNTIME, DETECTOR = "moonshine-tiny-en", "onnxruntime-web", "silero-vad"
_TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm"}
_FOREVER = "public, max-age=31536000, immutable"


class BrowserModels:
    """Serves the files of the manifest's entries that are marked `browser`, and no others."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._entries = {name: entry for name, entry in models.manifest().items() if entry.browser}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add `/models/NAME/VERSION/FILE`."""
        router.add_get("/models/{name}/{version}/{file}", self._serve)

    def device_recognition(self) -> Mapping[str, str] | None:
        """Return the addresses of what recognition in the browser needs; None if not installed."""
        wanted = {"model": RECOGNISER, "runtime": RUNTIME, "detector": DETECTOR}
        entries = {what: self._entries[name] for what, name in wanted.items()}
        if not all(models.is_installed(entry, self._cache_dir) for entry in entries.values()):
            return None
        return {what: f"/models/{entry.name}/{entry.version}/" for what, entry in entries.items()}

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        entry = self._entries.get(request.match_info["name"])
        name = request.match_info["file"]
        known = entry is not None and entry.version == request.match_info["version"]
        if entry is None or not known or name not in {file.name for file in entry.files}:
            raise web.HTTPNotFound(text="no such file of a model for browsers")
        path = self._cache_dir / entry.name / name
        if not await asyncio.to_thread(path.is_file):
            raise web.HTTPNotFound(text=f"not installed; run: antiphon models pull {entry.name}")
        kind = _TYPES.get(path.suffix, "application/octet-stream")
        return web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": _FOREVER})
