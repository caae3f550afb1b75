"""The seal of a bundle: whether somebody this unit trusts has signed its card, and with it the hash of every file.

SIGNATURE holds one line, `ed25519 FINGERPRINT BASE64`: an Ed25519 signature over the bytes of card.toml, and the first
16 hex digits of the sha256 of the public key that it is to be checked with. Keys are the PEM files of RFC 8410, as
OpenSSL writes and reads them. A bundle that came with this package is as trustworthy as the package and needs none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.card import CARD_FILE, SHIPPED, BundleError

SIGNATURE_FILE: Final = "SIGNATURE"
ALGORITHM: Final = "ed25519"
PUBLIC_HEAD: Final = bytes.fromhex("302a300506032b6570032100")
"""What DER puts before the 32 bytes of an Ed25519 public key (RFC 8410 section 4)."""
KEY_BYTES: Final = 32
LARGEST_FILE_BYTES: Final = 10_000
"""A key or a signature has some hundred bytes; more is the wrong file."""


class SealError(BundleError):
    """A bundle that nobody trusted stands for; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """32 bytes that check what their private half has signed, and the file they came from."""

    raw: bytes
    path: Path

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name the key in a SIGNATURE and to people."""
        return hashlib.sha256(self.raw).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a SIGNATURE file says: by which key, and the 64 bytes."""

    fingerprint: str
    raw: bytes

    def text(self) -> str:
        """The content of the file."""
        return f"{ALGORITHM} {self.fingerprint} {base64.b64encode(self.raw).decode()}\n"


def check_seal(bundle: Path, trusted_keys: Sequence[str | Path]) -> str:
    """Who stands for a bundle folder, in words; raises SealError where keys are trusted and none of theirs fits.

    trusted_keys: files of public keys; none: no signature is asked for, the hashes in the card are all there is.
    """
    if came_with_this_package(bundle):
        return "came with this version"
    if not trusted_keys:
        return "no signature asked for (model.trusted_keys is empty)"
    keys = [read_public_key(Path(path)) for path in trusted_keys]
    signature = read_signature(bundle)
    key = next((key for key in keys if key.fingerprint == signature.fingerprint), None)
    if key is None:
        raise SealError(
            f"{bundle}: signed by key {signature.fingerprint}, which is not trusted here "
            f"({', '.join(one.fingerprint for one in keys)} are); have it signed by one of those"
        )
    if not fits(key, signature, _read(bundle / CARD_FILE)):
        raise SealError(
            f"{bundle}: its {CARD_FILE} is not the one that key {key.fingerprint} signed; it was changed since, "
            "copy the bundle again"
        )
    return f"signed by {key.fingerprint} ({key.path})"


def came_with_this_package(bundle: Path) -> bool:
    """Whether a bundle lies inside the installed package."""
    return bundle.resolve().is_relative_to(SHIPPED.resolve())


def fits(key: PublicKey, signature: Signature, content: bytes) -> bool:
    """Whether the private half of this key has signed these bytes. Raises SealError without PyNaCl."""
    try:
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey
    except ImportError:
        raise SealError("signatures cannot be checked: PyNaCl is not installed; run `pip install pynacl`") from None
    try:
        VerifyKey(key.raw).verify(content, signature.raw)
    except (BadSignatureError, ValueError):
        return False
    return True


def read_public_key(path: Path) -> PublicKey:
    """A public key from its PEM file. Raises SealError with one sentence."""
    der = read_pem(path, "PUBLIC KEY")
    if not der.startswith(PUBLIC_HEAD) or len(der) != len(PUBLIC_HEAD) + KEY_BYTES:
        raise SealError(f"{path}: a public key, but not an Ed25519 one; make a pair with `fallwatch bundle keygen`")
    return PublicKey(der[len(PUBLIC_HEAD) :], path)


def read_pem(path: Path, kind: str) -> bytes:
    """What a PEM file of one kind holds. Raises SealError; no byte of the file is in its text."""
    lines = [line.strip() for line in _read(path).decode("ascii", errors="replace").splitlines() if line.strip()]
    if len(lines) < 3 or (lines[0], lines[-1]) != (f"-----BEGIN {kind}-----", f"-----END {kind}-----"):
        raise SealError(f"{path}: no {kind.lower()} in it (PEM); name a file made by `fallwatch bundle keygen`")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except binascii.Error:
        raise SealError(f"{path}: its {kind.lower()} is damaged; copy the file again") from None


def read_signature(bundle: Path) -> Signature:
    """What lies in a bundle as SIGNATURE. Raises SealError with one sentence."""
    path = bundle / SIGNATURE_FILE
    if not path.exists():
        raise SealError(
            f"{bundle}: not signed, and model.trusted_keys asks for a signature; sign it with `fallwatch bundle sign`"
        )
    words = _read(path).decode("ascii", errors="replace").split()
    try:
        algorithm, fingerprint, coded = words
        raw = base64.b64decode(coded, validate=True)
    except (ValueError, binascii.Error):
        raise SealError(f"{path}: not a signature; copy the bundle again") from None
    if algorithm != ALGORITHM:
        raise SealError(f"{path}: signed by {algorithm!r}, this version knows {ALGORITHM}; sign the bundle again")
    return Signature(fingerprint, raw)


def _read(path: Path) -> bytes:
    limit = LARGEST_FILE_BYTES if path.name != CARD_FILE else 100 * LARGEST_FILE_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise SealError(f"{path}: cannot be read ({error.strerror}); check the name and who may read it") from None
    if len(content) > limit:
        raise SealError(f"{path}: larger than {limit} bytes; this is the wrong file")
    return content
