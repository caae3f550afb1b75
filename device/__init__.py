"""What runs on the unit: camera, network, incidents, alerts, journal."""

__version__ = "0.1.0"
