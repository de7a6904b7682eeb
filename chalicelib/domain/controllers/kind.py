"""What every kind of controller answers; pure, from one look at a region."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.instance import Instance, RegionView
from chalicelib.domain.lease import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What is to end of one controller's boxes. `boxes` are those that this sweep may end, `ending` the ids of all that
    end, these and others; `recorded` what was written down before of each box's way out, by instance id; `is_busy`:
    somebody else is taking a box out at this moment; `are_saved`: one of the boxes is to be saved before it ends."""

    view: RegionView
    controller: str
    boxes: Sequence[Instance]
    ending: Collection[str]
    recorded: Mapping[str, Step]
    is_busy: bool = False
    are_saved: bool = False


class Kind(Protocol):
    """A kind of controller."""

    @property
    def actions(self) -> frozenset[str]:
        """The steps that are its own."""

    def of(self, instance: Instance) -> str | None:
        """The id or name of the controller of this kind that an instance belongs to."""

    def steps(self, ends: Ends) -> tuple[Step, ...]:
        """What is to be called before those boxes can be ended for good: nothing where none of them would be replaced.
        A step whose target is a box is that box's own; any other is shared by all of them."""

    def is_over(self, view: RegionView, step: Step) -> bool:
        """Whether what a step of this kind is to bring about is so already, whoever did it."""
