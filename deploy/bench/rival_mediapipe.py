"""MediaPipe Pose (model_complexity 1), in its own environment: what a user would pip-install to see a person fall.

    python -m deploy.bench.rival_mediapipe FILM {network | pipeline}

network: pose.process of one RGB picture of 640x480. pipeline: decode every picture of the film, take ten a second,
convert, process; one item is one of the ten. Its model file lies inside the wheel.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import mediapipe as mp

from deploy.bench.worker import serve

STEP_S = 0.1


def taken(film: str) -> Iterator[Any]:
    """RGB pictures, ten a second, for ever."""
    while True:
        capture = cv2.VideoCapture(film)
        fps, due = capture.get(cv2.CAP_PROP_FPS), 0.0
        for count in itertools.count():
            got, pixels = capture.read()
            if not got:
                break
            if count / fps + 1e-6 >= due:
                due += STEP_S
                yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def main() -> None:
    film, what = sys.argv[1:3]
    cv2.setNumThreads(1)
    pose = mp.solutions.pose.Pose(model_complexity=1)
    pictures = taken(film)
    if what == "network":
        pictures = itertools.cycle(list(itertools.islice(pictures, 20)))

    def work(count: int) -> None:
        for picture in itertools.islice(pictures, count):
            pose.process(picture)

    serve(work, 20)


if __name__ == "__main__":
    main()
