"""The everyday and the still rows of the catalogue."""

from __future__ import annotations

from typing import Final

from device.labels import FLOOR, LYING, SEATED
from training.synth import aided, company, crawling, everyday, furniture_falls
from training.synth.everyday import at_seat, doing, in_bed, seated
from training.synth.stage import SEATS, Behaviour

BEDS: Final = ("bed", "bed", "bed", "sofa")
CHAIRS: Final = ("chair", "sofa", "armchair")

EVERYDAY: Final[dict[str, Behaviour]] = {
    "stand": Behaviour(doing("idle", 0.45), "everyday", 1.0),
    "walk": Behaviour(everyday.walk, "everyday", 2.1),
    "hurry": Behaviour(everyday.hurry, "everyday", 0.8),
    "walk_in": Behaviour(everyday.walk, "everyday", 1.3, aim="end"),
    "walk_out": Behaviour(everyday.walk_out, "everyday", 1.3, aim="start"),
    "walk_aided": Behaviour(aided.walk_aided, "everyday", 1.7),
    "sit_aided": Behaviour(aided.sit_aided, "everyday", 1.0, SEATS, shows=(SEATED,)),
    "carrying": Behaviour(everyday.carrying, "everyday", 1.0),
    "wheelchair": Behaviour(aided.wheelchair, "everyday", 1.0),
    "wheelchair_pushed": Behaviour(aided.wheelchair_pushed, "everyday", 0.7, people=2),
    "sit_down": Behaviour(everyday.sit_down, "everyday", 1.5, SEATS, shows=(SEATED,)),
    "sit_hard": Behaviour(everyday.sit_hard, "everyday", 2.0, SEATS, shows=(SEATED,)),
    "sit_slump": Behaviour(everyday.sit_slump, "everyday", 1.0, SEATS, shows=(SEATED,)),
    "sit_edge": Behaviour(everyday.sit_edge, "everyday", 0.7, CHAIRS, shows=(SEATED,)),
    "rise": Behaviour(everyday.rise, "everyday", 1.2, SEATS),
    "drop_onto_bed": Behaviour(furniture_falls.drops_onto_bed, "everyday", 1.5, BEDS, shows=(SEATED,)),
    "wheelchair_bow": Behaviour(
        seated("tie_shoes", ("wheelchair",)), "everyday", 0.5, ("wheelchair",), shows=(SEATED,)
    ),
    "wheelchair_doze": Behaviour(seated("doze", ("wheelchair",)), "everyday", 0.3, ("wheelchair",), shows=(SEATED,)),
    "seated": Behaviour(seated("fidget"), "everyday", 0.7, SEATS),
    "watch_tv": Behaviour(seated("watch"), "everyday", 0.4, SEATS),
    "doze": Behaviour(seated("doze"), "everyday", 0.8, CHAIRS),
    "seated_exercise": Behaviour(seated("seated_exercise"), "everyday", 1.4, SEATS),
    "tie_shoes": Behaviour(seated("tie_shoes"), "everyday", 1.0, SEATS),
    "eat": Behaviour(seated("eat", CHAIRS), "everyday", 0.6, CHAIRS),
    "read": Behaviour(seated("read"), "everyday", 0.3, SEATS),
    "shoe_on_seat": Behaviour(at_seat("shoe_on_seat", "to"), "everyday", 0.4, CHAIRS),
    "pick_from_seat": Behaviour(at_seat("lean_over", "to"), "everyday", 0.7, CHAIRS),
    "pick_up": Behaviour(doing("pick_up", 0.5), "everyday", 1.5),
    "squat": Behaviour(doing("squats"), "everyday", 1.4),
    "reach_up": Behaviour(doing("reach_up", 0.45), "everyday", 0.4),
    "curtains": Behaviour(doing("curtains", 0.45), "everyday", 0.4),
    "sweep": Behaviour(doing("sweep"), "everyday", 0.7),
    "gymnastics": Behaviour(doing("gymnastics"), "everyday", 0.8),
    "dress": Behaviour(doing("dress", 0.5), "everyday", 0.8),
    "near": Behaviour(everyday.near, "everyday", 1.7, aim="near"),
    "kneel": Behaviour(doing("kneel"), "everyday", 1.0),
    "scrub": Behaviour(doing("scrub", 0.8), "everyday", 1.3),
    "crawl": Behaviour(crawling.crawls, "everyday", 0.7),
    "floor_sit": Behaviour(doing("floor_sit", 0.7), "everyday", 1.3),
    "lie_down": Behaviour(everyday.lie_down, "everyday", 2.0, BEDS, shows=(SEATED, LYING)),
    "get_up": Behaviour(everyday.get_up, "everyday", 1.4, BEDS, shows=(SEATED, LYING)),
    "sleep": Behaviour(in_bed("sleep", 0.55), "everyday", 1.9, BEDS, shows=(LYING,)),
    "restless": Behaviour(in_bed("restless", 0.35), "everyday", 1.5, BEDS, shows=(LYING,)),
    "sit_in_bed": Behaviour(in_bed("sit_in_bed", 0.4), "everyday", 0.6, ("bed",)),
    "passing": Behaviour(company.passing, "everyday", 1.7, people=2, aim="room"),
    "overtaking": Behaviour(company.overtaking, "everyday", 0.8, people=2, aim="room"),
    "crossing": Behaviour(company.crossing, "everyday", 1.1, people=2, aim="room"),
    "group": Behaviour(company.group, "everyday", 0.7, people=2),
    "visitor": Behaviour(company.visitor, "everyday", 1.0, SEATS, people=2),
    "help_rise": Behaviour(company.help_rise, "everyday", 0.6, SEATS, people=2),
    "carer_at_bed": Behaviour(company.carer_at_bed, "everyday", 0.8, ("bed",), people=2),
    "pet": Behaviour(aided.with_pet, "everyday", 0.7),
    "play": Behaviour(everyday.play, "everyday", 0.7, child=True),
}

STILL: Final[dict[str, Behaviour]] = {
    "floor_on_purpose": Behaviour(doing("lie_on_floor", 1.0), "still", 1.1, on_purpose=True, shows=(FLOOR,)),
    "mat_exercise": Behaviour(doing("mat_exercise", 1.0), "still", 1.3, on_purpose=True),
    "empty": Behaviour(everyday.empty, "still", 1.5, people=0),
    "empty_pet": Behaviour(aided.empty_with_pet, "still", 0.6, people=0),
}
