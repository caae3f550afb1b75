"""`fallwatch bundle`: keys, signatures, and a bundle as one file."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from device.archive import ENDING, pack, unpacked
from device.card import BundleError, Card, read_card
from device.errors import UsageError
from device.seal import SIGNATURE_FILE, check_seal, read_signature
from quantize.signing import keygen, read_private_key, sign_bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be done, and to what."""
    does = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    one = does.add_parser(
        "keygen", help="make a pair of keys: NAME.key signs and stays at home, NAME.pub goes to units"
    )
    one.add_argument("name", type=Path, metavar="NAME", help="path without ending, e.g. ~/keys/site")
    one = does.add_parser("sign", help="seal a bundle with a private key")
    one.add_argument("bundle", type=Path, help="folder of a bundle")
    one.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key, NAME.key")
    one = does.add_parser("verify", help="check hashes and signature as a unit does")
    one.add_argument("bundle", type=Path, help=f"folder of a bundle, or {ENDING} file")
    one.add_argument("--key", type=Path, action="append", default=[], metavar="FILE", help="public key, NAME.pub")
    one = does.add_parser("pack", help=f"a bundle folder as one {ENDING} file")
    one.add_argument("bundle", type=Path, help="folder of a bundle")
    one.add_argument("-o", "--out", type=Path, metavar="FILE", help=f"default: NAME-VERSION{ENDING} beside the folder")
    one = does.add_parser("unpack", help=f"a {ENDING} file as a folder")
    one.add_argument("bundle", type=Path, help=f"{ENDING} file")
    one.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="default: NAME-VERSION beside the file")


def run(args: argparse.Namespace) -> int:
    """0 when done. What is wrong with a bundle or a key is raised as BundleError: exit code 1."""
    {"keygen": _keygen, "sign": _sign, "verify": _verify, "pack": _pack, "unpack": _unpack}[args.what](args)
    return 0


def _keygen(args: argparse.Namespace) -> None:
    key = keygen(args.name.expanduser())
    print(f"{key.path}: private, signs bundles; keep it off units and out of repositories, and keep a copy of it")
    print(f"{key.public.path}: public, fingerprint {key.public.fingerprint}")
    print(f'on each unit: copy it there and write in [model]: trusted_keys = ["/etc/fallwatch/{key.public.path.name}"]')


def _sign(args: argparse.Namespace) -> None:
    signature = sign_bundle(args.bundle, read_private_key(args.key))
    print(f"{args.bundle}: signed by {signature.fingerprint}")


def _verify(args: argparse.Namespace) -> None:
    if not args.bundle.exists():
        raise BundleError(f"{args.bundle}: no such bundle; name its folder or its {ENDING} file")
    with tempfile.TemporaryDirectory() as work:
        folder = args.bundle if args.bundle.is_dir() else unpacked(args.bundle, Path(work))
        said = _stands_for_it(folder, args.key)
        card = read_card(folder)
    print(f"{args.bundle}: {card.model_id}, {len(card.files)} files as the card says; {said}")


def _stands_for_it(folder: Path, keys: list[Path]) -> str:
    if keys:
        return check_seal(folder, keys)
    if (folder / SIGNATURE_FILE).exists():
        fingerprint = read_signature(folder).fingerprint
        return f"says that key {fingerprint} signed it, NOT CHECKED: name that key's public half with --key"
    return "not signed"


def _pack(args: argparse.Namespace) -> None:
    card = read_card(args.bundle)
    out = args.out or args.bundle.resolve().parent / f"{_name(card)}{ENDING}"
    if out.suffix != ENDING:
        raise UsageError(f"{out}: a packed bundle's name ends in {ENDING}")
    pack(args.bundle, out)
    signed = "signed" if (args.bundle / SIGNATURE_FILE).exists() else "not signed"
    print(f"{out}: {card.model_id}, {out.stat().st_size} bytes, {signed}")


def _unpack(args: argparse.Namespace) -> None:
    parent = (args.out or args.bundle.resolve()).parent
    with tempfile.TemporaryDirectory(dir=parent) as work:
        folder = unpacked(args.bundle, Path(work))
        card = read_card(folder)
        out = args.out or parent / _name(card)
        if out.exists():
            raise BundleError(f"{out}: is there already; name another folder with -o")
        folder.rename(out)
    print(f"{out}: {card.model_id}, {len(card.files)} files as the card says")


def _name(card: Card) -> str:
    return f"{card.name}-{card.version}"
