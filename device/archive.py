"""A bundle as one file, NAME.fwm: a zip of its folder's files, for a stick, a mail or a download.

Nothing in it is believed before it is unpacked and its hashes and signature are checked as a folder's are; a name that
leads elsewhere, or content that swells, is refused unpacked.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Final

from device.card import CARD_FILE, BundleError, read_card
from device.seal import SIGNATURE_FILE

ENDING: Final = ".fwm"
LARGEST_BYTES: Final = 64 * 1024 * 1024
"""Unpacked: twenty times what a bundle takes; a unit's disk is small."""
MOST_FILES: Final = 32
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can say: the same folder gives the same bytes."""


def pack(bundle: Path, out: Path) -> None:
    """Write a bundle's card, the files it lists and the signature as one file; equal bundles give equal files.

    Written whole or not at all. Raises BundleError, also for a bundle whose files are not the card's.
    """
    names = {*read_card(bundle).files, CARD_FILE}
    files = [bundle / name for name in sorted(names)]
    if (bundle / SIGNATURE_FILE).is_file():
        files.append(bundle / SIGNATURE_FILE)
    partial = out.with_name(f".{out.name}.tmp")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                entry = zipfile.ZipInfo(path.name, EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, path.read_bytes())
        partial.replace(out)
    except OSError as error:
        raise BundleError(f"{out}: cannot be written ({error.strerror}); name another place") from None
    finally:
        partial.unlink(missing_ok=True)


def unpacked(path: Path, home: Path) -> Path:
    """The folder that a .fwm file was unpacked to below `home`, named by its content; done already: nothing is done.

    The folder appears whole or not at all, and holds whatever the file held: check it as any bundle. Raises
    BundleError with one sentence.
    """
    try:
        with path.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    folder = home / name
    if _whole(folder):
        return folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as work:
            fresh = Path(work) / name
            fresh.mkdir()
            _unpack(path, fresh)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be unpacked to {home} ({error.strerror}); free or repair that disk"
        ) from None
    return folder


def _whole(folder: Path) -> bool:
    """Whether what was unpacked before is still as its card says; where a disk spoilt it, it is unpacked again."""
    try:
        read_card(folder)
    except BundleError:
        return False
    return True


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _refuse_strange(path, entries)
            for entry in entries:
                (folder / entry.filename).write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{path}: not a whole {ENDING} file ({error}); copy it again") from None


def _refuse_strange(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """A zip can name any place and any size; a bundle's files have plain names and together some megabytes.

    zipfile reads no more of an entry than the size it states, so the stated sizes are a bound.
    """
    for entry in entries:
        if not PLAIN_NAME.fullmatch(entry.filename):
            raise BundleError(f"{path}: holds {entry.filename!r:.80}; a bundle's files have plain names, do not use it")
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST_BYTES:
        raise BundleError(
            f"{path}: unpacks to more than {LARGEST_BYTES >> 20} MB or {MOST_FILES} files; no bundle does"
        )
    if CARD_FILE not in {entry.filename for entry in entries}:
        raise BundleError(f"{path}: no {CARD_FILE} in it; make it with `fallwatch bundle pack`")
