"""Who is drawn and what they wear: random shapes and outfits, from one generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

from training.synth.bodies.body import Body, Outfit, dress
from training.synth.bodies.shape import Bodies, Shape

Option = TypeVar("Option")
Row = tuple[str, str, str, str]
"""Cloth, folder, garment, part: as in Outfit.worn."""

TOPS: Final = {
    True: (
        "female_casualsuit01", "female_casualsuit01", "female_casualsuit02", "female_casualsuit02",
        "female_elegantsuit01", "female_elegantsuit01", "female_sportsuit01",
    ),
    False: (
        "male_casualsuit02", "male_casualsuit03", "male_casualsuit04", "male_casualsuit05", "male_casualsuit06",
        "male_elegantsuit01",
    ),
}  # fmt: skip
"""Garments for women (True) and men; the cropped sport top is rarer."""
BOTTOMS: Final = {
    True: ("female_casualsuit01", "female_casualsuit01", "female_casualsuit01", "female_casualsuit02"),
    False: ("male_casualsuit02", "male_casualsuit04", "male_casualsuit06", "male_elegantsuit01"),
}
SKIRTS: Final[tuple[Row, ...]] = (
    ("trousers", "clothes", "female_elegantsuit01", "bottom"),
    ("trousers", "tailored", "skirt", "whole"),
    ("trousers", "tailored", "long_skirt", "whole"),
)
WHOLE: Final[dict[bool, tuple[Row, ...]]] = {
    True: tuple(("shirt", "tailored", cut, "whole") for cut in ("nightgown", "long_nightgown", "hospital_shirt")),
    False: (
        ("shirt", "clothes", "male_casualsuit01", "whole"), ("shirt", "clothes", "male_worksuit01", "whole"),
        ("shirt", "tailored", "pyjamas", "whole"), ("shirt", "tailored", "hospital_shirt", "whole"),
    ),
}  # fmt: skip
HAIR: Final = {
    True: ("bob01", "bob02", "long01", "ponytail01", "braid01", "short03", "short04", "afro01"),
    False: ("short01", "short02", "short03", "short04", "afro01"),
}
SHOES: Final = ("shoes01", "shoes02", "shoes03", "shoes04", "shoes05", "shoes06")


TONES: Final = ((0.16, 0.45), (0.45, 0.80), (0.55, 0.95))
"""Lightness of the skin, from and to, in the order of shape.RACES; a mixed person's lies between."""


def random_tone(rng: np.random.Generator, shape: Shape) -> float:
    """Lightness 0..1 of a person's skin."""
    low, high = np.array(shape.races) @ np.array(TONES)
    return float(rng.uniform(low, high))


def random_shape(rng: np.random.Generator, old: bool, height_m: float, girth: float) -> Shape:
    """A random person of about this height; men are taller by what they are in Europe, 12 cm between the means."""
    female = bool(rng.random() < 0.55)
    races = rng.dirichlet((0.3, 0.3, 0.6))
    weight = float(np.clip((girth - 1.05) / 0.3 + rng.normal(0.0, 0.15), -0.8, 1.0))
    age = float(rng.uniform(0.6, 1.0) if old else rng.uniform(0.0, 0.6))
    tall = float(np.clip(height_m + (-0.06 if female else 0.06), 1.45, 1.95))
    return Shape(female, (float(races[0]), float(races[1]), float(races[2])), age, weight, tall)


def _pick(rng: np.random.Generator, options: Sequence[Option]) -> Option:
    return options[int(rng.integers(len(options)))]


def _clothes(rng: np.random.Generator, female: bool) -> list[Row]:
    """One piece in a fifth of the cases; else a top and a bottom from suits of the same cut, whatever fits whom."""
    if rng.random() < 0.2:
        return [_pick(rng, WHOLE[female])]
    # A quarter of the women wear men's shirts and trousers; a quarter of the others a skirt.
    cut = female and rng.random() < 0.75
    bottom = ("trousers", "clothes", _pick(rng, BOTTOMS[cut]), "bottom")
    if cut and rng.random() < 0.25:
        bottom = _pick(rng, SKIRTS)
    return [bottom, ("shirt", "clothes", _pick(rng, TOPS[cut]), "top")]


def random_outfit(rng: np.random.Generator, female: bool, bald: bool) -> Outfit:
    """Clothes, shoes (bare feet in one case of six), hair unless bald."""
    worn = _clothes(rng, female)
    if rng.random() < 5 / 6:
        worn.append(("shoes", "clothes", _pick(rng, SHOES), "whole"))
    if not bald:
        worn.append(("hair", "hair", _pick(rng, HAIR[female]), "whole"))
    return Outfit("female1605" if female else "male1591", tuple(worn))


def random_body(rng: np.random.Generator, bodies: Bodies, shape: Shape, bald: bool) -> Body:
    """Dress a shape at random. Raises BodyFileError."""
    return dress(bodies, shape, random_outfit(rng, shape.female, bald))
