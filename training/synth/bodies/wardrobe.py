"""Who is drawn and what they wear: random shapes and outfits, from one generator."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synth.bodies.body import Body, Outfit, dress
from training.synth.bodies.shape import Bodies, Shape

TOPS: Final = {
    True: ("female_casualsuit01", "female_casualsuit02", "female_elegantsuit01", "female_sportsuit01"),
    False: (
        "male_casualsuit02", "male_casualsuit03", "male_casualsuit04", "male_casualsuit05", "male_casualsuit06",
        "male_elegantsuit01",
    ),
}  # fmt: skip
BOTTOMS: Final = {
    True: ("female_casualsuit01", "female_casualsuit02", "female_elegantsuit01"),
    False: ("male_casualsuit02", "male_casualsuit04", "male_elegantsuit01"),
}
WHOLE: Final = {True: (), False: ("male_casualsuit01", "male_worksuit01")}
HAIR: Final = {
    True: ("bob01", "bob02", "long01", "ponytail01", "braid01", "short03", "short04", "afro01"),
    False: ("short01", "short02", "short03", "short04", "afro01"),
}
SHOES: Final = ("shoes01", "shoes02", "shoes03", "shoes04", "shoes05", "shoes06")


def random_shape(rng: np.random.Generator, old: bool, height_m: float, girth: float) -> Shape:
    """A random person of about this height; men are taller by what they are in Europe, 12 cm between the means."""
    female = bool(rng.random() < 0.55)
    races = rng.dirichlet((0.3, 0.3, 0.6))
    weight = float(np.clip((girth - 1.05) / 0.3 + rng.normal(0.0, 0.15), -0.8, 1.0))
    age = float(rng.uniform(0.6, 1.0) if old else rng.uniform(0.0, 0.6))
    tall = float(np.clip(height_m + (-0.06 if female else 0.06), 1.45, 1.95))
    return Shape(female, (float(races[0]), float(races[1]), float(races[2])), age, weight, tall)


def random_outfit(rng: np.random.Generator, female: bool, bald: bool) -> Outfit:
    """Top and bottom mixed from the suits, sometimes one piece; bare feet in one case of six; hair unless bald."""

    def pick(names: tuple[str, ...]) -> str:
        return names[int(rng.integers(len(names)))]

    worn: list[tuple[str, str, str, str]]
    if WHOLE[female] and rng.random() < 0.2:
        worn = [("shirt", "clothes", pick(WHOLE[female]), "whole")]
    else:
        # A quarter of the women wear men's shirts and trousers; the garments fit any body.
        cut = female and rng.random() < 0.75
        worn = [
            ("trousers", "clothes", pick(BOTTOMS[cut]), "bottom"),
            ("shirt", "clothes", pick(TOPS[cut]), "top"),
        ]
    if rng.random() < 5 / 6:
        worn.append(("shoes", "clothes", pick(SHOES), "whole"))
    if not bald:
        worn.append(("hair", "hair", pick(HAIR[female]), "whole"))
    proxy = pick(("female1605", "proxy741") if female else ("male1591", "proxy741"))
    return Outfit(proxy, tuple(worn))


def random_body(rng: np.random.Generator, bodies: Bodies, shape: Shape, bald: bool) -> Body:
    """Dress a shape at random. Raises BodyFileError."""
    return dress(bodies, shape, random_outfit(rng, shape.female, bald))
