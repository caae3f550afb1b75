"""What several subcommands share: where the settings come from, which model serves."""

from __future__ import annotations

import argparse
from pathlib import Path

from device.archive import ENDING, unpacked
from device.card import shipped_bundle
from device.errors import UsageError
from device.seal import check_seal
from device.settings import Settings, default_folder
from device.settings_file import read_settings

SYSTEM_SETTINGS = Path("/etc/fallwatch/unit.toml")


def add_config(parser: argparse.ArgumentParser) -> None:
    """--config, the same everywhere."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings of the unit (default: {SYSTEM_SETTINGS} where it exists, else built-in defaults)",
    )


def config_path(args: argparse.Namespace) -> Path | None:
    """The settings file that holds: the one named, else the installed one, else none."""
    if args.config is not None:
        return Path(args.config)
    return SYSTEM_SETTINGS if SYSTEM_SETTINGS.is_file() else None


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that hold; raises SettingsError."""
    path = config_path(args)
    return Settings() if path is None else read_settings(path)


def bundle_of(settings: Settings, named: Path | None = None) -> Path:
    """The model bundle that serves: the one named, else the settings', else the one that came with this version.

    A .fwm file is unpacked to the unit's own folder, once. Raises BundleError where it cannot be.
    """
    asked = named or (Path(settings.model.bundle) if settings.model.bundle else shipped_bundle())
    return unpacked(asked, default_folder() / "bundles") if asked.suffix == ENDING else asked


def trusted_bundle(settings: Settings) -> tuple[Path, str]:
    """The bundle of the settings, and who stands for it; raises BundleError where the trusted keys do not."""
    bundle = bundle_of(settings)
    return bundle, check_seal(bundle, settings.model.trusted_keys)


def with_source(settings: Settings, source: str | None) -> Settings:
    """The settings with another camera source. Raises UsageError where they name several cameras."""
    if source is None:
        return settings
    if settings.cameras:
        raise UsageError("--source replaces one camera and the settings have [[cameras]]; change the source there")
    if not source.strip():
        raise UsageError("--source is empty; name a file, an rtsp:// address or a device such as /dev/video0")
    return settings.model_copy(update={"camera": settings.camera.model_copy(update={"source": source})})
