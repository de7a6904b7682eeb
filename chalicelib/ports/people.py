"""Who is told: people, by messages and the links in them, and the watchman of Curfew itself."""

from typing import Protocol

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Claim
from chalicelib.domain.notices import Notice


class Links(Protocol):
    """Links that do one thing for one lease, for whoever has them, for a time."""

    def url(self, claim: Claim) -> str:
        """The link that makes a claim good. Raises Unavailable."""

    def read(self, token: str) -> Claim | None:
        """What a link claims, None for one that was not made here. Raises Unavailable."""


class NoLinks:
    """No address or no secret is set: there are no links."""

    def url(self, claim: Claim) -> str:
        """None can be made."""
        raise Unavailable(f"links are not set up: none for {claim.lease_id}")

    def read(self, token: str) -> Claim | None:
        """Nothing was made here."""


class Notifier(Protocol):
    """Where people read."""

    @property
    def is_configured(self) -> bool:
        """False: notices are kept in the outbox's history and go nowhere."""

    def send(self, notice: Notice) -> None:
        """Deliver one message within a few seconds, with all of its `parts`. Raises Unavailable: `status` in its
        `extra` is HTTP's where there is one, `retry_after` the seconds that it asks to be left alone for."""


class NoNotifier:
    """A channel that is not set up."""

    is_configured = False

    def send(self, notice: Notice) -> None:
        """Delivered nowhere."""
        raise Unavailable(f"this channel is not set up: nobody is told {notice.title!r}")


class DeadMan(Protocol):
    """Somebody elsewhere who raises the alarm when Curfew is silent."""

    def is_alive(self) -> None:
        """Tell them that Curfew lives, within 3 s. Raises Unavailable."""
