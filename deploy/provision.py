"""`fallwatch provision`: a site's own authority, its broker's files, and a certificate for every unit and desk."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.authority import LEAF_DAYS, AuthorityError, key_pem, new_key, read_key, request
from deploy.broker_files import ROLES, Placement
from deploy.site import Register, Site, expiries, read_register, write_private, write_whole
from device.clock import SystemClock
from device.commands.common import add_config, settings_of
from device.errors import UsageError
from device.mqtt.certificates import WARN_DAYS

ACTIONS = ("site", "key", "sign", "revoke", "renew-broker", "list")
WANT = {"sign": "the unit's signing request, NAME.csr", "revoke": "the name of a unit or desk"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=ACTIONS,
        help="site: an authority and a broker's files. key: on a unit or desk, its key and request. sign: that one. "
        "revoke: lock somebody out. renew-broker: a new certificate for the broker. list: who is in, and until when",
    )
    parser.add_argument("what", nargs="*", metavar="FILE|NAME", help="sign: the requests. revoke: the name")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="the site's folder (default: ./site); key: where to")
    add_config(parser)
    parser.add_argument("--site", metavar="NAME", help="site: as in the units' [unit] site")
    parser.add_argument("--broker", metavar="HOST,…", help="site: how units call the broker, names and addresses")
    parser.add_argument("--port", type=int, default=8883, metavar="N", help="site: the broker's port (default 8883)")
    parser.add_argument("--installed", type=Path, metavar="DIR", help=f"site: default {Placement().files}")
    parser.add_argument("--state", type=Path, metavar="DIR", help=f"site: default {Placement().state}")
    parser.add_argument("--name", metavar="NAME", help="key: of a desk (default: the unit's id in its settings)")
    parser.add_argument("--role", choices=ROLES, default="unit", help="sign: what it may do (default: unit)")
    parser.add_argument("--days", type=int, default=LEAF_DAYS, metavar="N", help=f"validity (default {LEAF_DAYS})")
    parser.add_argument("--replace", action="store_true", help="sign: the name has a new key; withdraw the old one")
    parser.add_argument("--passphrase-file", type=Path, metavar="F", help="file with the passphrase of ca.key")
    parser.add_argument("--json", action="store_true", help="list as JSON, one object a line")


def run(args: argparse.Namespace) -> int:
    if args.action in WANT and not args.what:
        raise UsageError(f"provision {args.action} wants {WANT[args.action]}")
    if not 1 <= args.days <= 20 * 365:
        raise UsageError(f"--days {args.days}: give 1 to 7300; the default of {LEAF_DAYS} is three years")
    now = datetime.fromtimestamp(SystemClock().wall(), UTC)
    return _ACTIONS[args.action](args, now)


def _site(args: argparse.Namespace, now: datetime) -> int:
    if not args.site or not args.broker:
        raise UsageError("provision site wants --site NAME and --broker HOST[,HOST…], as in the units' settings")
    standard = Placement()
    placement = Placement(args.installed or standard.files, args.state or standard.state, args.port)
    names = tuple(name.strip() for name in args.broker.split(",") if name.strip())
    site = Site.create(_folder(args), Register(args.site, names, placement), now, _passphrase(args))
    print(f"{site.folder}: authority of {args.site}, and a broker that answers as {', '.join(names)}")
    print(f"Keep {site.folder}/ca.key off the broker's machine and in two places; who has it can let anybody in.")
    print(f"Next: copy {site.folder}/broker to {placement.files} on the broker's machine, as docs/broker.md says.")
    return 0


def _key(args: argparse.Namespace, now: datetime) -> int:
    """A key that never leaves this machine; a second call keeps it and writes the request again."""
    settings = settings_of(args)
    name = args.name or settings.unit.id
    folder = Path(args.folder or settings.store.path() / "tls").absolute()
    path = folder / f"{name}.key"
    if path.exists():
        key = read_key(_bytes(path), None, str(path))
    else:
        key = new_key()
        write_private(path, key_pem(key))
    write_whole(folder / f"{name}.csr", request(key, name))
    print(f"{folder}/{name}.csr: bring this to whoever runs the site, for `fallwatch provision sign {name}.csr`")
    print(f"Bring the two files you get back to {folder}, and write into the settings:\n")
    print('[mqtt]\nhost = "…"\nport = 8883\ntls = true')
    for setting, file in (("ca_file", "ca.pem"), ("cert_file", f"{name}.pem"), ("key_file", f"{name}.key")):
        print(f'{setting} = "{folder / file}"')
    return 0


def _sign(args: argparse.Namespace, now: datetime) -> int:
    site = Site.open(_folder(args), _passphrase(args))
    asked = [(Path(path), args.role) for path in args.what]
    for issued in site.sign_all(asked, now, days=args.days, replaces=args.replace):
        entry = next(one for one in site.register.members if one.name == issued.name)
        print(f"{issued}: bring back to {issued.name}; {entry.role} of {site.register.site} until {entry.until[:10]}")
    _say_reload(site)
    return 0


def _revoke(args: argparse.Namespace, now: datetime) -> int:
    site = Site.open(_folder(args), _passphrase(args))
    for name in args.what:
        site.revoke(name, now)
        print(f"{name}: is locked out of {site.register.site} from the next restart on")
    _say_reload(site, restart=True)
    return 0


def _renew_broker(args: argparse.Namespace, now: datetime) -> int:
    site = Site.open(_folder(args), _passphrase(args))
    site.renew_broker(now, args.days)
    print(f"{site.folder}/broker/broker.pem: a new certificate for {', '.join(site.register.broker)}")
    _say_reload(site)
    return 0


def _say_reload(site: Site, *, restart: bool = False) -> None:
    what = "restart (that also ends its present connection)" if restart else "reload"
    print(
        f"Next: copy {site.folder}/broker to {site.register.placement.files} on the broker's machine, then "
        f"systemctl {what.partition(' ')[0]} mosquitto{what[len(what.partition(' ')[0]) :]}"
    )


def _list(args: argparse.Namespace, now: datetime) -> int:
    """Exit code 1 when something has expired or will within WARN_DAYS."""
    folder = _folder(args)
    ends = expiries(folder, read_register(folder))
    for name, what, until in ends:
        days = (until - now) // timedelta(days=1)
        day = f"{until:%Y-%m-%d}"
        mark = "EXPIRED" if days < 0 else ("renew  " if days < WARN_DAYS else "ok     ")
        row = {"name": name, "what": what, "until": day, "days": days}
        print(json.dumps(row) if args.json else f"{mark} {name:<24} {what:<15} {day} {days:>6} days")
    return 1 if any(until - now < timedelta(days=WARN_DAYS) for _, _, until in ends) else 0


def _folder(args: argparse.Namespace) -> Path:
    return Path(args.folder) if args.folder else Path("site")


def _passphrase(args: argparse.Namespace) -> bytes | None:
    if args.passphrase_file is None:
        return None
    secret = _bytes(args.passphrase_file).strip()
    if not secret:
        raise AuthorityError(f"{args.passphrase_file}: is empty; write the passphrase into it, or leave the option out")
    return secret


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(f"{path}: cannot be read ({error.strerror}); check the path") from None


_ACTIONS = {
    "site": _site,
    "key": _key,
    "sign": _sign,
    "revoke": _revoke,
    "renew-broker": _renew_broker,
    "list": _list,
}
