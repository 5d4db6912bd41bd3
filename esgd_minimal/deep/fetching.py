"""Where the files of the data sets come from: $ESGD_DATA, else the user's cache, else their publisher."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from filelock import FileLock
from tqdm import tqdm

CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class File:
    """A file of a data set: its name below the data folder, where it is published, and its digest there.

    The digest is written as pooch writes it, "sha256:…" or "md5:…". The first address that answers is used.
    """

    name: str
    urls: tuple[str, ...]
    digest: str


def given(name: str) -> Path | None:
    """What is called `name` below $ESGD_DATA, or None where there is no such thing.

    Raises:
        ValueError: $ESGD_DATA is not a folder.
    """
    folder = os.environ.get("ESGD_DATA")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise ValueError(f"ESGD_DATA must name the folder that holds the data; {folder} is not a folder.")
    path = Path(folder, name)
    return path if path.exists() else None


def cache() -> Path:
    """The user's own folder for what is fetched."""
    return Path(pooch.os_cache("esgd_minimal"))


def find(file: File) -> Path:
    """The path of a file: the user's own in $ESGD_DATA, else the one in the cache, fetched if need be.

    A file in $ESGD_DATA is taken as it is. One in the cache is checked against its digest every time, and fetched
    anew if it differs. A file is put under its name only when it is whole; an interrupted fetch leaves `….part`,
    and the next one goes on from there.

    Raises:
        ValueError: $ESGD_DATA is not a folder, or what the publisher sends has another digest.
        ConnectionError: none of the addresses answers, or the connection broke.
    """
    own = given(file.name)
    if own is not None:
        return own
    target = cache() / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    with FileLock(target.parent / ".lock"):  # two runs that start together fetch once
        for url in file.urls:
            part = target.with_name(f"{target.name}.part")
            try:
                pooch.retrieve(url, file.digest, target.name, target.parent, downloader=_resuming(part))
                return target
            except requests.RequestException as reason:
                reasons.append(f"{url}: {type(reason).__name__}")
            except ValueError:  # pooch throws away what has the wrong digest
                raise ValueError(
                    f"{url} sent something else than {file.name} (its {file.digest.split(':')[0].upper()} differs); "
                    f"try again, or put a good copy below the folder that ESGD_DATA names."
                ) from None
    raise ConnectionError(
        f"{file.name} is not here and could not be fetched ({'; '.join(reasons)}); "
        f"try again with a connection, or put it below the folder that ESGD_DATA names."
    )


def _resuming(part: Path) -> Callable[[str, str, object], None]:
    """A downloader for pooch that fills `part`, from where an earlier try broke off, and moves it when it is whole."""

    def download(url: str, output: str, _: object) -> None:
        have = part.stat().st_size if part.exists() else 0
        with requests.get(url, stream=True, timeout=30, headers=_from(have)) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()  # longer than the file itself: it was never a part of it
                return download(url, output, _)
            answer.raise_for_status()
            if answer.status_code != requests.codes.partial_content:
                have = 0  # this server sends the whole, whatever was asked for
            total = have + int(answer.headers.get("Content-Length", 0))
            with (
                open(part, "ab" if have else "wb") as file,
                tqdm(desc=part.stem, total=total or None, initial=have, unit="B", unit_scale=True) as progress,
            ):
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    progress.update(len(chunk))
        os.replace(part, output)

    return download


def _from(have: int) -> dict[str, str]:
    """Headers that ask for the bytes from `have` on, as they lie on the server."""
    return {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
