"""Hold-outs by person, room and dataset, never by frame: the tested share none of them with the trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.clip import Clip, ClipTableError


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Clips kept away from training: a whole dataset, some of its subjects, or some of its rooms.

    Written `caucafall`, `gmdcsa24:G2,G3` (subjects) or `le2i@Home@Office` (rooms: their names may have commas).
    """

    dataset: str
    subjects: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> HoldOut:
        """From the written form; ValueError says what is expected."""
        found = re.fullmatch(r"([\w-]+)(?::([^:@]+)|((?:@[^@]+)+))?", text.strip())
        if not found:
            raise ValueError(
                f"{text!r} is no hold-out; write DATASET or DATASET:SUBJECT,SUBJECT or DATASET@ROOM@ROOM, "
                "e.g. gmdcsa24:G2,G3"
            )
        return cls(found[1], _names(found[2], ","), _names(found[3], "@"))

    def __str__(self) -> str:
        """The written form."""
        if self.subjects:
            return f"{self.dataset}:{','.join(self.subjects)}"
        return "@".join((self.dataset, *self.rooms))

    def holds(self, clip: Clip) -> bool:
        """Whether this clip is kept away."""
        return (
            clip.dataset == self.dataset
            and (not self.subjects or clip.subject in self.subjects)
            and (not self.rooms or clip.room in self.rooms)
        )


def hold_out(clips: Sequence[Clip], away: Sequence[HoldOut]) -> tuple[list[Clip], list[Clip]]:
    """(kept, held). Raises ClipTableError if a person or room of a dataset is on both sides, or nothing is held."""
    held = [clip for clip in clips if any(rule.holds(clip) for rule in away)]
    kept = [clip for clip in clips if not any(rule.holds(clip) for rule in away)]
    for rule in away:
        if not any(rule.holds(clip) for clip in clips):
            raise ClipTableError(f"hold-out {rule} matches no clip; name a dataset, subject or room of the table")
    for what in ("subject", "room"):
        both = {(c.dataset, getattr(c, what)) for c in kept} & {(c.dataset, getattr(c, what)) for c in held}
        both = {pair for pair in both if pair[1]}
        if both:
            dataset, value = sorted(both)[0]
            raise ClipTableError(f"{what} {value!r} of {dataset} would be on both sides; hold out all its clips")
    return kept, held


def rooms_out(clips: Sequence[Clip]) -> list[HoldOut]:
    """Leave one room out: a rule for every group of rooms and people that share nobody and no room with the others.

    Two rooms with one person in both are one group (as the two night rooms of GMDCSA24 are). Where a dataset names
    neither person nor room of some clip it is one group as a whole.
    """
    rules = []
    for dataset in sorted({clip.dataset for clip in clips}):
        mine = [clip for clip in clips if clip.dataset == dataset]
        groups = _groups(mine)
        by_subject, by_room = (all(getattr(clip, what) for clip in mine) for what in ("subject", "room"))
        if len(groups) == 1 or not (by_subject or by_room):
            rules.append(HoldOut(dataset))
        elif by_subject:
            rules += [HoldOut(dataset, subjects=_values(group, "subject")) for group in groups]
        else:
            rules += [HoldOut(dataset, rooms=_values(group, "room")) for group in groups]
    return rules


def datasets_out(clips: Sequence[Clip]) -> list[HoldOut]:
    """Leave one dataset out: a rule for each."""
    return [HoldOut(dataset) for dataset in sorted({clip.dataset for clip in clips})]


def _groups(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips of one dataset, joined wherever they share a person or a room; in the order of their names."""
    groups: list[tuple[set[tuple[str, str]], list[Clip]]] = []
    for clip in sorted(clips, key=lambda clip: (clip.subject, clip.room, clip.name)):
        marks = {(what, value) for what in ("subject", "room") if (value := getattr(clip, what))}
        joined = [group for group in groups if group[0] & marks]
        groups = [group for group in groups if not group[0] & marks]
        members = [one for group in joined for one in group[1]] + [clip]
        groups.append((marks.union(*(group[0] for group in joined)), members))
    return sorted((members for _, members in groups), key=lambda members: min(clip.name for clip in members))


def _values(clips: Iterable[Clip], what: str) -> tuple[str, ...]:
    return tuple(sorted({getattr(clip, what) for clip in clips}))


def _names(text: str | None, separator: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(separator) if name.strip())
