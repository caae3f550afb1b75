"""The unit's own certificate: until when it is good, and which file is to blame when there is no trust.

Dates are read with a few lines of DER (X.680, X.690; RFC 5280 4.1) instead of a library: cryptography would add 18 MB
to every wall for two dates. What the broker sees in a certificate is the TLS library's business and stays there.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from device.clock import rfc3339
from device.errors import FallwatchError
from device.settings import Mqtt

WARN_DAYS = 60
"""Two visits of the technician before a unit would fall silent."""
DAY_S = 24 * 3600
SILENT_S = 2.0
"""A broker in the same building says within milliseconds that it wants nobody without a good certificate."""

UTC_TIME, GENERALIZED_TIME, VERSION = 0x17, 0x18, 0xA0
"""DER tags: two spellings of a time, and the optional first field of a certificate."""


class CertificateError(FallwatchError):
    """A certificate file that cannot be used; the text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Dates:
    """Unix seconds between which a certificate is good."""

    begins: float
    ends: float


def read_dates(path: Path) -> Dates:
    """Validity of the first certificate in a PEM file. Raises CertificateError."""
    try:
        text = path.read_text(encoding="ascii")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        end = text.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
        return _dates(ssl.PEM_cert_to_DER_cert(text[begin:end]))
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    except (ValueError, IndexError):
        raise CertificateError(f"{path}: holds no certificate in PEM; copy it there again") from None


def ending(settings: Mqtt, wall: float) -> str:
    """One sentence when this unit's certificate or its authority's is over or soon will be, else "".

    Raises CertificateError for a file that cannot be read.
    """
    for name in ("cert_file", "ca_file"):
        path = getattr(settings, name)
        if not path:
            continue
        dates = read_dates(Path(path))
        left = int((dates.ends - wall) // DAY_S)
        day = rfc3339(dates.ends)[:10]
        if wall < dates.begins:
            return f"mqtt.{name} {path}: holds only from {rfc3339(dates.begins)[:10]} on; set this unit's clock"
        if left < 0:
            return f"mqtt.{name} {path}: has expired on {day}; renew it with `fallwatch provision`"
        if left < WARN_DAYS:
            return f"mqtt.{name} {path}: expires on {day}, in {left} days; renew it with `fallwatch provision`"
    return ""


def ends_soon(settings: Mqtt, wall: float) -> bool:
    """Whether somebody has to renew this unit's certificate or its authority's; a file that cannot be read counts."""
    try:
        return settings.enabled and ending(settings, wall) != ""
    except CertificateError:
        return True


def distrusted(settings: Mqtt, error: ssl.SSLCertVerificationError) -> str:
    """Why we do not trust the broker: which file, what is wrong, what to do. X.509 codes as in openssl verify(1)."""
    ours = f"mqtt.ca_file {settings.ca_file}" if settings.ca_file else "mqtt.ca_file (empty: the system's)"
    match error.verify_code:
        case 9 | 13:
            return "the broker's certificate holds only from a later day on; set this unit's clock"
        case 10 | 14:
            return "the broker's certificate has expired; run `fallwatch provision renew-broker`, or set this clock"
        case 7 | 18 | 19 | 20 | 21:
            return f"{ours}: the broker's certificate is not signed by it; copy the site's ca.pem there"
        case 62 | 64:
            return f"the broker's certificate is not for {settings.host!r}; write mqtt.host as in the certificate"
    return f"{ours}: {error.verify_message}; copy the site's ca.pem there"


_ALERTS = {
    "CERTIFICATE_EXPIRED": "has expired; renew it with `fallwatch provision`, or set the broker's clock",
    "UNKNOWN_CA": "is not signed by the authority of this broker; have it signed at this site",
    "CERTIFICATE_REVOKED": "was withdrawn at this site; make a new key and have it signed",
    "CERTIFICATE_REQUIRED": "",
    "HANDSHAKE_FAILURE": "",
    "BAD_CERTIFICATE": "is not accepted by the broker; have it signed anew",
    "CERTIFICATE_UNKNOWN": "is not accepted by the broker; have it signed anew",
    "UNSUPPORTED_CERTIFICATE": "is not made for a unit; have it signed anew",
}
"""TLS alerts (RFC 8446 6.2) about a client's certificate, as OpenSSL spells them, -> what that means for the file."""


def overheard(settings: Mqtt, context: ssl.SSLContext) -> str:
    """What the TLS library says when we connect once more and keep silent; "" when nobody hangs up.

    A broker that hangs up on a CONNECT it has not read resets the line, and its alert is lost with it.
    """
    try:
        with (
            socket.create_connection((settings.host, settings.port), SILENT_S) as line,
            context.wrap_socket(line, server_hostname=settings.host) as tls,
        ):
            tls.recv(1)
    except TimeoutError:
        return ""
    except OSError as error:  # ssl.SSLError is one
        return str(error)
    return ""


def rejected(settings: Mqtt, said: str, wall: float) -> str:
    """Why the broker does not trust us, from what the TLS library said when it hung up; "" when it was not about that.

    A broker that hangs up without a TLS alert is no riddle where our own certificate is over.
    """
    file = f"mqtt.cert_file {settings.cert_file}"
    for alert, meaning in _ALERTS.items():
        if f"ALERT_{alert}" in said:
            if settings.cert_file and meaning:
                return f"{file}: {meaning}"
            return "the broker wants a certificate of this unit; make one with `fallwatch provision key`"
    if not settings.cert_file:
        return ""
    try:
        return ending(settings, wall) if read_dates(Path(settings.cert_file)).ends < wall else ""
    except CertificateError as error:
        return str(error)


def _dates(der: bytes) -> Dates:
    """Certificate -> TBSCertificate -> [version], serial, algorithm, issuer, then validity: two times."""
    _, outer = _element(der, 0)
    _, to_sign = _element(outer[0], 0)
    content, at = to_sign[0], 0
    if content[0] == VERSION:
        at = _element(content, at)[1][1]
    for _ in ("serial", "algorithm", "issuer"):
        at = _element(content, at)[1][1]
    validity = _element(content, at)[1][0]
    begins, (first, after) = _element(validity, 0)
    ends, (second, _) = _element(validity, after)
    return Dates(_unix(begins, first), _unix(ends, second))


def _element(der: bytes, at: int) -> tuple[int, tuple[bytes, int]]:
    """The DER element at `at`: its tag, its content, and where the next one begins. Raises ValueError, IndexError."""
    tag, length, begin = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + size], "big"), begin + size
    if begin + length > len(der):
        raise ValueError("cut short")
    return tag, (der[begin : begin + length], begin + length)


def _unix(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == UTC_TIME:  # RFC 5280 4.1.2.5.1: two digits of the year, 50 and above are 19xx
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
