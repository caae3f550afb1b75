"""What several subcommands share: where the settings come from, which model serves."""

from __future__ import annotations

import argparse
from pathlib import Path

from device.card import shipped_bundle
from device.errors import UsageError
from device.settings import Settings
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
    """The model bundle that serves: the one named, else the settings', else the one that came with this version."""
    if named is not None:
        return named
    return Path(settings.model.bundle) if settings.model.bundle else shipped_bundle()


def with_source(settings: Settings, source: str | None) -> Settings:
    """The settings with another camera source. Raises UsageError where they name several cameras."""
    if source is None:
        return settings
    if settings.cameras:
        raise UsageError("--source replaces one camera and the settings have [[cameras]]; change the source there")
    if not source.strip():
        raise UsageError("--source is empty; name a file, an rtsp:// address or a device such as /dev/video0")
    return settings.model_copy(update={"camera": settings.camera.model_copy(update={"source": source})})
