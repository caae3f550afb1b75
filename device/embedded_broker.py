"""The broker that `fallwatch demo` brings along: amqtt on a loopback port, in a process of its own. Demo only.

It speaks MQTT 3.1.1, keeps nothing on disk and ends when its standard input is closed, so that it cannot outlive the
demo, however that ends. A site runs Mosquitto.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from device.errors import FallwatchError

HOST = "127.0.0.1"
START_S = 20.0
"""Importing the broker takes seconds on a small board."""

CONFIG_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


@contextlib.contextmanager
def embedded_broker() -> Iterator[int]:
    """A running broker; gives its port. Raises FallwatchError when it does not come up."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "device.embedded_broker", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends its broker in order.
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3.0)
        process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=0.5):
            return
        time.sleep(0.05)
    raise FallwatchError(f"{HOST}:{port}: the demo's own broker did not start; run: pip install 'fallwatch[console]'")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _serve(port: int) -> None:
    from amqtt.broker import Broker
    from amqtt.contexts import BrokerConfig, ListenerConfig

    config = BrokerConfig(listeners={"default": ListenerConfig(bind=f"{HOST}:{port}")}, plugins=CONFIG_PLUGINS)
    broker = Broker(config)
    await broker.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(int(sys.argv[1])))
