"""Which OpenGL draws the pictures; must be settled before mujoco is imported."""

from __future__ import annotations

import ctypes
import glob
import os
from typing import Final

NODES: Final = ("/dev/nvidia[0-9]*", "/dev/dri/renderD*")
"""Device files of NVIDIA's driver and of the kernel's render nodes."""
PLATFORM_DEVICE: Final = 0x313F
EXTENSIONS: Final = 0x3055
"""EGL_PLATFORM_DEVICE_EXT and EGL_EXTENSIONS, from the EGL registry."""
SOFTWARE: Final = b"EGL_MESA_device_software"
MOST_DEVICES: Final = 16


def choose_gl() -> str:
    """Name of the OpenGL back-end MuJoCo will use: the environment's choice, EGL where a GPU draws, else OSMesa."""
    chosen = os.environ.get("MUJOCO_GL") or ("egl" if _gpu_draws() else "osmesa")
    os.environ["MUJOCO_GL"] = chosen
    # Two renderers share the cores: software OpenGL must not start a thread pool of its own in each.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    return chosen


def _gpu_draws() -> bool:
    """Whether a GPU's device file may be opened by us and EGL starts on a device that is not software."""
    nodes = [node for pattern in NODES for node in glob.glob(pattern)]
    if not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return False
    try:
        return _egl_starts(ctypes.CDLL("libEGL.so.1"))
    except (OSError, AttributeError):
        return False


def _egl_starts(egl: ctypes.CDLL) -> bool:
    """Whether one of EGL's devices is a GPU and can be initialized."""
    egl.eglGetProcAddress.restype = ctypes.c_void_p

    def function(name: bytes, result: type, *arguments: type) -> ctypes._FuncPointer:
        address = egl.eglGetProcAddress(name)
        if not address:
            raise AttributeError(f"EGL lacks {name.decode()}")
        return ctypes.CFUNCTYPE(result, *arguments)(address)

    integers, handles = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_void_p)
    query = function(b"eglQueryDevicesEXT", ctypes.c_uint, ctypes.c_int, handles, integers)
    describe = function(b"eglQueryDeviceStringEXT", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)
    display_of = function(b"eglGetPlatformDisplayEXT", ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, integers)
    initialize = function(b"eglInitialize", ctypes.c_uint, ctypes.c_void_p, integers, integers)
    devices, count = (ctypes.c_void_p * MOST_DEVICES)(), ctypes.c_int(0)
    if not query(MOST_DEVICES, devices, ctypes.byref(count)):
        return False
    gpus = [device for device in devices[: count.value] if SOFTWARE not in (describe(device, EXTENSIONS) or b"")]
    displays = (display_of(PLATFORM_DEVICE, device, None) for device in gpus)
    return any(display and initialize(display, None, None) for display in displays)
