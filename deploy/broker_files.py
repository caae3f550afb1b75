"""What the site's Mosquitto is given: its configuration, who may do what, and how systemd keeps it. Text in, text out.

Each line stands under its reason, because whoever changes one at night has to know what it was for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Role = Literal["unit", "desk", "home-assistant"]
ROLES: tuple[Role, ...] = get_args(Role)

ANSWERS = ("receipt", "ack")
"""What people and desks say about an alert: alert/<id>/<word>. DESIGN 6.3."""
FEATURES = ("staff", "privacy")
"""What people may switch on a unit: <feature>/set. DESIGN 6.3."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody whom the site lets in: the name in the certificate, and what it is."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Placement:
    """Where things lie on the broker's machine. files: what `provision` made. state: what the broker remembers."""

    files: Path = Path("/etc/mosquitto/fallwatch")
    state: Path = Path("/var/lib/mosquitto")
    port: int = 8883


def mosquitto_conf(placement: Placement = Placement()) -> str:
    """mosquitto.conf(5) of a site, for Mosquitto 2.0 and later; it stands alone, nothing else needs to be included."""
    files = placement.files
    return f"""\
# Mosquitto for Fallwatch, made by `fallwatch provision`. Copy it over /etc/mosquitto/mosquitto.conf.

# --- who gets in

# One door, with TLS. There is no plain one: whoever can read alerts knows who lies on the floor.
listener {placement.port}

# The site's own authority; a certificate signed by anybody else ends at the handshake.
cafile {files}/ca.pem
certfile {files}/broker.pem
keyfile {files}/broker.key

# Certificates withdrawn with `fallwatch provision revoke`: of a stolen unit, of a desk that was sold.
crlfile {files}/crl.pem

# No certificate, no connection.
require_certificate true

# The name in the certificate is the user: nobody can claim another's, and there is no password to be found or lost.
use_identity_as_username true

# Take the # away, and nobody can throw another member off by connecting under its client id. Left out because then
# `fallwatch check` on a unit that is running throws that unit off for a moment: stop it first.
#use_username_as_clientid true

# Off is the default since 2.0; said here so that an older broker does not open the door.
allow_anonymous false

# Who may read and write which topic. Not listed there means: may do nothing.
acl_file {files}/acl

# --- what must survive

# Off by default: what desks have not fetched, and every retained truth, would be gone with the power.
persistence true
persistence_location {placement.state}/

# Seconds between two writes; the default of 1800 would lose half an hour. What the broker still loses is said again by
# the units, which keep an alert until a desk has it.
autosave_interval 30

# A desk that was switched off over a holiday finds what it missed; one that was thrown away is forgotten.
persistent_client_expiration 14d

# Messages kept for a receiver that is away; the default of 1000 is one bad night of a large house. Desks subscribe to
# health with QoS 0, so that heartbeats never take this room from alerts.
max_queued_messages 10000

# Messages on their way to one client before it has acknowledged one; units are told and keep to it too.
max_inflight_messages 20

# --- what must be noticed

# Seconds; a client that asks for longer is told this (MQTT 5), so that no dead one counts as alive for long.
max_keepalive 60

# An alert goes out when it is written, not when the kernel has collected a segment.
set_tcp_nodelay true

# --- what must not happen

# Bytes. The longest message of a unit is below 16 KiB; a broken or hostile client cannot fill the memory.
max_packet_size 65536

# Names of clients come and go in the log, with the reason; no payload is ever logged.
connection_messages true
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""


def acl(site: str, members: Iterable[Member]) -> str:
    """The access list of a site: one block per member, by name, so that leaving somebody out locks them out.

    The usual pattern line (fallwatch/<site>/%u/#) would also give every desk a branch to write alerts in.
    """
    head = f"""\
# Who may do what at {site}, made by `fallwatch provision`; do not edit, sign or revoke instead.
# Mosquitto reads it again on: systemctl reload mosquitto
# Not listed means forbidden. Lists for one user only: there is no line that holds for everybody.
"""
    blocks = [_BLOCKS[member.role](site, member.name) for member in sorted(members, key=lambda one: one.name)]
    return "\n".join([head, *blocks])


def service_override() -> str:
    """A drop-in for mosquitto.service: /etc/systemd/system/mosquitto.service.d/fallwatch.conf."""
    return """\
# Made by `fallwatch provision`, for /etc/systemd/system/mosquitto.service.d/fallwatch.conf
[Unit]
# Never give up: the default stops after 5 starts in 10 s, and then no alert is carried until somebody comes.
StartLimitIntervalSec=0

[Service]
# Debian's unit restarts it only after a crash; an alarm's broker comes back whatever it died of.
Restart=always
RestartSec=1
# One descriptor a client; the default of 1024 ends a house at about a thousand of them.
LimitNOFILE=65536
# When memory runs out, something else goes first.
OOMScoreAdjust=-500
"""


def _unit(site: str, name: str) -> str:
    own = f"fallwatch/{site}/{name}"
    answers = [f"{own}/alert/+/{word}" for word in ANSWERS]
    switches = [f"{own}/{feature}/set" for feature in FEATURES]
    return "\n".join(
        [
            f"# {name}: a unit. It speaks for its own room and no other. Whoever wants an answer on a topic of his own",
            f"# choice (MQTT 5) names one below {own}/response/.",
            f"user {name}",
            f"topic write {own}/#",
            "# What people answer and switch there.",
            *(f"topic read {topic}" for topic in (*answers, *switches)),
            "# It introduces itself to Home Assistant, and does so again when that comes back.",
            f"topic write homeassistant/device/fallwatch_{name}/config",
            "topic read homeassistant/status",
            "",
        ]
    )


def _desk(site: str, name: str) -> str:
    return "\n".join(
        [
            f"# {name}: a desk. It hears every room and can only answer: no desk can raise or fake an alert.",
            f"user {name}",
            f"topic read fallwatch/{site}/#",
            *_answers(site),
            "",
        ]
    )


def _home_assistant(site: str, name: str) -> str:
    return "\n".join(
        [
            f"# {name}: Home Assistant. A desk that also finds new units by itself.",
            f"user {name}",
            f"topic read fallwatch/{site}/#",
            *_answers(site),
            "topic read homeassistant/#",
            "topic write homeassistant/status",
            "",
        ]
    )


def _answers(site: str) -> list[str]:
    ways = [*(f"alert/+/{word}" for word in ANSWERS), *(f"{feature}/set" for feature in FEATURES)]
    return [f"topic write fallwatch/{site}/+/{way}" for way in ways]


_BLOCKS = {"unit": _unit, "desk": _desk, "home-assistant": _home_assistant}
