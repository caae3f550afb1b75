"""The way to the broker and back: link (paho), window and truths (what is told), courier (thread), errand (once)."""

from device.mqtt.courier import Courier, LinkState
from device.mqtt.errand import Errand, send_test, send_waiting
from device.mqtt.link import LinkError, tls_context

__all__ = ["Courier", "Errand", "LinkError", "LinkState", "send_test", "send_waiting", "tls_context"]
