"""A real RTSP server for tests: GStreamer's, in a process of its own, serving one H.264 clip over loopback.

Imported by tests it starts and ends that process; run by the system's Python (which has gi) it is that process.
Every client gets the clip from its start. Debian: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from types import TracebackType

SYSTEM_PYTHON = "/usr/bin/python3"
PATH = "/room"
READY = "ready"


class RtspServer:
    """Serves `clip` at .url while started; user and password are asked of clients when given."""

    def __init__(self, clip: Path, user: str = "", password: str = "") -> None:
        from tests.conftest import free_port

        self.clip = clip
        self.port = free_port()
        self._login = [user, password] if user else []
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}{PATH}"

    def url_for(self, user: str, password: str) -> str:
        """The address with a user and password in it."""
        return f"rtsp://{user}:{password}@127.0.0.1:{self.port}{PATH}"

    def start(self) -> None:
        """Returns when clients may connect; skips the test, loudly, where GStreamer's server is absent."""
        import pytest

        command = [SYSTEM_PYTHON, __file__, str(self.clip), str(self.port), *self._login]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            pytest.skip(f"RTSP SERVER ABSENT: no {SYSTEM_PYTHON}; this test checked nothing")
        assert self._process.stdout is not None
        if (line := self._process.stdout.readline().strip()) != READY:
            assert self._process.stderr is not None
            why = line or self._process.stderr.read().strip().rpartition("\n")[2]
            self.kill()
            pytest.skip(f"RTSP SERVER ABSENT: {why}; this test checked nothing")

    def kill(self) -> None:
        """kill -9: clients see a connection that breaks, as when a camera loses power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()


def h264_clip(clip: Path, folder: Path) -> Path:
    """The clip itself where it is H.264 in an mp4, else a copy in folder that is."""
    import av

    from device.clip import Picture, make_clip, to_jpeg
    from device.footage import read_footage

    with av.open(str(clip)) as container:
        if container.streams.video[0].codec_context.name == "h264" and clip.suffix == ".mp4":
            return clip
    copy = folder / f"{clip.stem}-h264.mp4"
    copy.write_bytes(make_clip([Picture(one.t, one.id, to_jpeg(one.pixels, 1920)) for one in read_footage(clip)]))
    return copy


def serve(arguments: argparse.Namespace) -> None:
    """The server process: says READY when clients may connect, then serves until it is killed."""
    try:
        gi = importlib.import_module("gi")
        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        GLib, Gst, GstRtspServer = (  # noqa: N806 - GObject's own names
            importlib.import_module(f"gi.repository.{name}") for name in ("GLib", "Gst", "GstRtspServer")
        )
    except (ImportError, ValueError) as error:
        sys.exit(str(error))
    Gst.init(None)
    for name in ("qtdemux", "h264parse", "rtph264pay"):
        if Gst.ElementFactory.find(name) is None:
            sys.exit(f"GStreamer has no {name}")
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{arguments.clip}" ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )'
    )
    if arguments.user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(arguments.user, arguments.password), token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.new_from_string(
                "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
            )
        )
    server.get_mount_points().add_factory(PATH, factory)
    server.attach(None)
    print(READY, flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve one clip over RTSP on loopback")
    parser.add_argument("clip")
    parser.add_argument("port", type=int)
    parser.add_argument("user", nargs="?", default="")
    parser.add_argument("password", nargs="?", default="")
    serve(parser.parse_args())
