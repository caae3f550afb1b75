"""A site's certificate authority: makes itself, signs the broker, units and desks, and lists what it has withdrawn.

Pure: keys and certificates in, certificates out; files and the register are deploy.site's. P-256 with SHA-256, which
every TLS library since 2010 and every small board can do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device.errors import FallwatchError

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What may stand in a topic (DESIGN 6.3), and so what a unit or a desk may be called."""
AUTHORITY_DAYS = 20 * 365
"""Longer than the building's units last: a new authority means visiting every room."""
LEAF_DAYS = 3 * 365
"""Broker, units and desks. Short enough that renewing is practised, long enough that it is rare."""
BACKDATED = timedelta(days=1)
"""A small board without a clock battery may start hours behind; a fresh certificate must not be refused for that."""


class AuthorityError(FallwatchError):
    """A key, a request or a certificate cannot be used; the text says which, why and what to do."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """A private key of a unit, a desk, the broker or the authority."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS 8; encrypted where a passphrase is given."""
    secret = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


def read_key(pem: bytes, passphrase: bytes | None, where: str) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM file; `where` names it in errors. Raises AuthorityError."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        cure = "give the right --passphrase-file" if "ENCRYPTED" in pem.decode("latin-1") else "restore it from a copy"
        if passphrase and not isinstance(error, ValueError):
            cure = "it has no passphrase: leave --passphrase-file out"
        raise AuthorityError(f"{where}: cannot be used as a private key; {cure}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{where}: is no elliptic-curve key; make one with `fallwatch provision key`")
    return key


def read_certificate(pem: bytes, where: str) -> x509.Certificate:
    """The first certificate of a PEM file. Raises AuthorityError."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise AuthorityError(f"{where}: holds no certificate in PEM; restore it from a copy") from None


def request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A signing request (PEM) of whoever holds `key` and calls itself `name`. Raises AuthorityError for a bad name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _checked(name))])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def read_request(pem: bytes, where: str) -> tuple[str, ec.EllipticCurvePublicKey]:
    """The name and the public key that a request asks a certificate for. Raises AuthorityError."""
    try:
        asked = x509.load_pem_x509_csr(pem)
        signed = asked.is_signature_valid
        key = asked.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise AuthorityError(f"{where}: is no signing request; make one with `fallwatch provision key`") from None
    if not signed:
        raise AuthorityError(f"{where}: was changed on its way (its own signature is wrong); copy it again")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise AuthorityError(f"{where}: asks for no elliptic-curve key; make it with `fallwatch provision key`")
    return _checked(common_name(asked.subject)), key


def common_name(subject: x509.Name) -> str:
    """The name that Mosquitto takes for the user (use_identity_as_username); "" when there is none."""
    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs at one site: its certificate, which everybody may have, and its key, which nobody else may."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def sign_broker(
        self, key: ec.EllipticCurvePublicKey, names: Iterable[str], now: datetime, days: int = LEAF_DAYS
    ) -> x509.Certificate:
        """The broker's certificate for the host names and addresses under which units call it."""
        called = list(names)
        builder = self._leaf(key, "fallwatch-broker", now, days)
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in called])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(alternative, critical=False).add_extension(usage, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def sign_client(
        self, key: ec.EllipticCurvePublicKey, name: str, now: datetime, days: int = LEAF_DAYS
    ) -> x509.Certificate:
        """A certificate for a unit or a desk; it cannot be used to pose as the broker."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._leaf(key, _checked(name), now, days).add_extension(usage, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def withdrawn(self, serials: Iterable[int], now: datetime) -> bytes:
        """The revocation list (PEM) of these serial numbers.

        It is valid as long as the authority: OpenSSL refuses everybody once a list is past its date, and a list that
        nobody renewed must not be what silences a house.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(self.certificate.not_valid_after_utc)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - BACKDATED).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _leaf(self, key: ec.EllipticCurvePublicKey, name: str, now: datetime, days: int) -> x509.CertificateBuilder:
        until = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = _begun(subject, self.certificate.subject, key, now, until)
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signature=True), critical=True)
            .add_extension(issuer_key, critical=False)
        )


def new_authority(site: str, now: datetime, days: int = AUTHORITY_DAYS) -> Authority:
    """A site's authority, signed by itself. Raises AuthorityError for a bad site name."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Fallwatch {_checked(site)}"[:64])])  # X.520: at most 64
    builder = _begun(name, name, key.public_key(), now, now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(certificates=True), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, until) - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signature: bool = False, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise AuthorityError(f"{name!r} is no host name; write it in ASCII, as units look it up") from None


def _checked(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise AuthorityError(
            f"{name[:80]!r} cannot be a name here; use 1 to 64 of a-z A-Z 0-9 _ -, and never a resident's name"
        )
    return name
