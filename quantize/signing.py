"""Keys that seal bundles, and sealing: the half of device.seal that needs a private key and never lies on a unit.

A private key is a PKCS #8 PEM file (RFC 8410), readable by its owner alone, without a passphrase: keep it on the
machine that releases bundles, or sign elsewhere with OpenSSL (docs/quantize.md).
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.card import CARD_FILE, read_card
from device.seal import KEY_BYTES, PUBLIC_HEAD, SIGNATURE_FILE, PublicKey, SealError, Signature, read_pem
from training.written import write_text

PRIVATE_HEAD: Final = bytes.fromhex("302e020100300506032b657004220420")
"""What DER puts before the 32 bytes of an Ed25519 private key (RFC 8410 section 7)."""

KEY_ENDING, PUBLIC_ENDING = ".key", ".pub"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """32 bytes that sign. Never printed."""

    raw: bytes
    path: Path

    def __repr__(self) -> str:
        return f"PrivateKey({self.path})"

    @property
    def public(self) -> PublicKey:
        """The half that goes to units."""
        from nacl.signing import SigningKey

        return PublicKey(bytes(SigningKey(self.raw).verify_key), self.path.with_suffix(PUBLIC_ENDING))

    def sign(self, content: bytes) -> Signature:
        """A signature over these bytes."""
        from nacl.signing import SigningKey

        return Signature(self.public.fingerprint, SigningKey(self.raw).sign(content).signature)


def keygen(name: Path) -> PrivateKey:
    """Make a pair, NAME.key (mode 600) and NAME.pub. Raises SealError where one of them is there already."""
    private, public = (name.with_name(name.name + ending) for ending in (KEY_ENDING, PUBLIC_ENDING))
    for path in (private, public):
        if path.exists():
            raise SealError(f"{path}: is there already, and what it signed needs it; name another pair")
    key = PrivateKey(os.urandom(KEY_BYTES), private)
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        # Created with its mode: at no moment is it readable by others.
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_pem("PRIVATE KEY", PRIVATE_HEAD + key.raw))
        write_text(public, _pem("PUBLIC KEY", PUBLIC_HEAD + key.public.raw))
    except OSError as error:
        raise SealError(f"{error.filename}: cannot be written ({error.strerror}); name another place") from None
    return key


def read_private_key(path: Path) -> PrivateKey:
    """A private key from its PEM file. Raises SealError; nothing of the key is in its text."""
    der = read_pem(path, "PRIVATE KEY")
    if not der.startswith(PRIVATE_HEAD) or len(der) != len(PRIVATE_HEAD) + KEY_BYTES:
        raise SealError(f"{path}: a private key, but not an Ed25519 one; make a pair with `fallwatch bundle keygen`")
    return PrivateKey(der[len(PRIVATE_HEAD) :], path)


def sign_bundle(bundle: Path, key: PrivateKey) -> Signature:
    """Seal a bundle folder as it stands, hashes checked first. Raises BundleError."""
    read_card(bundle)
    signature = key.sign((bundle / CARD_FILE).read_bytes())
    write_text(bundle / SIGNATURE_FILE, signature.text())
    return signature


def _pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.b64encode(der).decode()}\n-----END {kind}-----\n"
