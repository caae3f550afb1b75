"""One site on disk: its authority, the register of whom it has let in, and the files its broker is given.

    site.json            who is a member, until when, and which certificates are withdrawn
    ca.key, ca.pem       the authority; ca.key never leaves this machine
    issued/NAME/         what goes back to the unit or desk: NAME.pem and ca.pem
    broker/              what goes to the broker's machine, and nothing secret but the broker's own key

Every change writes the broker's files anew from the register, so that they cannot disagree with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.authority import (
    LEAF_DAYS,
    Authority,
    AuthorityError,
    key_pem,
    new_authority,
    new_key,
    read_certificate,
    read_key,
    read_request,
)
from deploy.broker_files import ROLES, Member, Placement, Role, acl, mosquitto_conf, service_override

REGISTER = "site.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. until: RFC 3339. serial: of its newest certificate, hex. key: SHA-256 of its public key, hex."""

    name: str
    role: Role
    until: str
    serial: str
    key: str


@dataclass(frozen=True, slots=True)
class Register:
    """What the site knows of itself; site.json."""

    site: str
    broker: tuple[str, ...]
    placement: Placement
    members: tuple[Entry, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def member(self, name: str) -> Entry | None:
        return next((one for one in self.members if one.name == name), None)


class Site:
    """A site's folder, opened by whoever may sign there."""

    def __init__(self, folder: Path, register: Register, authority: Authority) -> None:
        self.folder = folder
        self.register = register
        self._authority = authority

    @classmethod
    def create(cls, folder: Path, register: Register, now: datetime, passphrase: bytes | None) -> Site:
        """A new authority and broker in a folder that holds none yet. Raises AuthorityError."""
        if (folder / REGISTER).exists():
            raise AuthorityError(f"{folder}: is a site already; a second one would lock every unit out; name another")
        authority = new_authority(register.site, now)
        site = cls(folder, register, authority)
        write_private(folder / "ca.key", key_pem(authority.key, passphrase))
        write_whole(folder / "ca.pem", site._ca_pem())
        site.renew_broker(now)
        return site

    @classmethod
    def open(cls, folder: Path, passphrase: bytes | None) -> Site:
        """The site in this folder, ready to sign. Raises AuthorityError."""
        register = read_register(folder)
        certificate = read_certificate(_read(folder / "ca.pem"), str(folder / "ca.pem"))
        key = read_key(_read(folder / "ca.key"), passphrase, str(folder / "ca.key"))
        if _fingerprint(certificate.public_key()) != _fingerprint(key.public_key()):
            raise AuthorityError(f"{folder}: ca.pem and ca.key do not belong together; restore both from one copy")
        return cls(folder, register, Authority(certificate, key))

    def renew_broker(self, now: datetime, days: int = LEAF_DAYS) -> None:
        """A new key and certificate for the broker; units go on trusting it, because they trust the authority."""
        key = new_key()
        certificate = self._authority.sign_broker(key.public_key(), self.register.broker, now, days)
        write_private(self.folder / "broker" / "broker.key", key_pem(key))
        write_whole(self.folder / "broker" / "broker.pem", certificate.public_bytes(Encoding.PEM))
        self._write(self.register, now)

    def sign(self, asked: Path, role: Role, now: datetime, *, days: int = LEAF_DAYS, replaces: bool = False) -> Path:
        """Let somebody in, or renew; returns the folder to bring back to it. Raises AuthorityError.

        replaces: the name has moved to another key (a new board in the same room); the old certificate is withdrawn.
        """
        return self.sign_all([(asked, role)], now, days=days, replaces=replaces)[0]

    def sign_all(
        self, asked: Sequence[tuple[Path, Role]], now: datetime, *, days: int = LEAF_DAYS, replaces: bool = False
    ) -> list[Path]:
        """As sign() for each, and the broker's files once; nothing is entered when one of them cannot be signed."""
        members = {one.name: one for one in self.register.members}
        gone: list[str] = []
        signed: dict[str, bytes] = {}
        for path, role in asked:
            name, key = read_request(_read(path), str(path))
            before = members.get(name)
            moved = before is not None and before.key != _fingerprint(key)
            if before is not None and moved:
                if not replaces:
                    raise AuthorityError(
                        f"{name}: is a member with another key; give the new one another name, or say --replace if the "
                        "old board is gone"
                    )
                gone.append(before.serial)
            certificate = self._authority.sign_client(key, name, now, days)
            until = certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
            members[name] = Entry(name, role, until, f"{certificate.serial_number:x}", _fingerprint(key))
            signed[name] = certificate.public_bytes(Encoding.PEM)
        for name, pem in signed.items():
            write_whole(self.folder / "issued" / name / f"{name}.pem", pem)
            write_whole(self.folder / "issued" / name / "ca.pem", self._ca_pem())
        withdrawn = (*self.register.withdrawn, *gone)
        self._write(replace(self.register, members=tuple(members.values()), withdrawn=withdrawn), now)
        return [self.folder / "issued" / name for name in signed]

    def revoke(self, name: str, now: datetime) -> None:
        """Lock somebody out: off the access list, and its certificate on the revocation list. Raises AuthorityError."""
        entry = self.register.member(name)
        if entry is None:
            raise AuthorityError(f"{name}: is no member of {self.register.site}; see `fallwatch provision list`")
        others = tuple(one for one in self.register.members if one.name != name)
        self._write(replace(self.register, members=others, withdrawn=(*self.register.withdrawn, entry.serial)), now)

    def _ca_pem(self) -> bytes:
        return self._authority.certificate.public_bytes(Encoding.PEM)

    def _write(self, register: Register, now: datetime) -> None:
        """The register, and everything of the broker's that follows from it."""
        broker = self.folder / "broker"
        serials = [int(serial, 16) for serial in register.withdrawn]
        members = [Member(one.name, one.role) for one in register.members]
        write_whole(self.folder / REGISTER, _json(register))
        write_whole(broker / "ca.pem", self._ca_pem())
        write_whole(broker / "crl.pem", self._authority.withdrawn(serials, now))
        write_whole(broker / "acl", acl(register.site, members).encode())
        write_whole(broker / "mosquitto.conf", mosquitto_conf(register.placement).encode())
        write_whole(broker / "mosquitto.service.d" / "fallwatch.conf", service_override().encode())
        self.register = register


def read_register(folder: Path) -> Register:
    """site.json, which needs no key to be read. Raises AuthorityError."""
    path = folder / REGISTER
    try:
        found = json.loads(_read(path))
        placement = Placement(
            Path(found["placement"]["files"]), Path(found["placement"]["state"]), int(found["placement"]["port"])
        )
        members = tuple(_entry(one) for one in found["members"])
        return Register(found["site"], tuple(found["broker"]), placement, members, tuple(found["withdrawn"]))
    except (ValueError, KeyError, TypeError) as error:
        raise AuthorityError(f"{path}: is no register of a site ({error}); restore it from a copy") from None


def expiries(folder: Path, register: Register) -> list[tuple[str, str, datetime]]:
    """(name, what it is, valid until) of the authority, the broker and every member; the first to end comes first."""
    own = [("ca.pem", "authority", folder / "ca.pem"), ("broker.pem", "broker", folder / "broker" / "broker.pem")]
    found = [(name, what, read_certificate(_read(path), str(path)).not_valid_after_utc) for name, what, path in own]
    found += [(one.name, str(one.role), datetime.fromisoformat(one.until).astimezone(UTC)) for one in register.members]
    return sorted(found, key=lambda row: row[2])


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """The whole content under this name or what was there before. Raises AuthorityError naming the file."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise AuthorityError(
            f"{path}: cannot be written ({error.strerror}); free the disk or name another folder"
        ) from None


def write_private(path: Path, content: bytes) -> None:
    """A file that only its owner can read, from its first byte on."""
    write_whole(path, content, 0o600)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(f"{path}: cannot be read ({error.strerror}); check --folder and the path") from None


def _entry(found: dict[str, Any]) -> Entry:
    if found["role"] not in ROLES:
        raise ValueError(f"{found['role']} is no role")
    return Entry(**found)


def _json(register: Register) -> bytes:
    return (json.dumps({"schema": SCHEMA, **asdict(register)}, indent=1, default=str) + "\n").encode()


def _fingerprint(key: Any) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return ""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()
