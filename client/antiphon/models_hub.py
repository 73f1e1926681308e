"""A model's files from a model hub, over https; an interrupted download is gone on with."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from antiphon.pull_progress import Progress
from antiphon_proto.errors import StartupError
from antiphon_proto.models import ModelEntry, ModelFile

CHUNK_BYTES = 1 << 20
SILENCE_S = 60.0
_PARTIAL = 206


def download(entry: ModelEntry, directory: Path, hub_url: str, progress: Progress) -> None:
    """Fetch an entry's files into `directory`, going on with what is there already.

    Raises StartupError when the hub cannot be reached or does not have them.
    """
    for file in entry.files:
        url = f"{hub_url}/{entry.package}/resolve/{quote(entry.version)}/{quote(file.member)}"
        try:
            _fetch(entry, file, url, directory / file.name, progress)
        except urllib.error.HTTPError as exc:
            raise StartupError(
                f"{url} answers {exc.code} {exc.reason}; name a mirror with "
                f"--set models.hub_url=URL, then run again: antiphon models pull {entry.name}"
            ) from exc
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as exc:
            reason = getattr(exc, "reason", exc) or type(exc).__name__
            raise StartupError(
                f"{hub_url} cannot be reached ({reason}); check the network and proxy settings, "
                f"then run again, it goes on where it was: antiphon models pull {entry.name}"
            ) from exc


def _fetch(entry: ModelEntry, file: ModelFile, url: str, target: Path, progress: Progress) -> None:
    have_bytes = target.stat().st_size if target.exists() else 0
    if have_bytes >= file.bytes:
        return
    headers = {"Range": f"bytes={have_bytes}-"} if have_bytes else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=SILENCE_S) as response:
        goes_on = response.status == _PARTIAL
        have_bytes = have_bytes if goes_on else 0
        with target.open("ab" if goes_on else "wb") as stream:
            while have_bytes <= file.bytes and (chunk := response.read(CHUNK_BYTES)):
                stream.write(chunk)
                have_bytes += len(chunk)
                progress.show(entry.name, min(have_bytes, file.bytes), file.bytes)
    if have_bytes < file.bytes:
        raise http.client.IncompleteRead(b"", file.bytes - have_bytes)
