"""Say that the guard lives, after each complete sweep: somebody else raises the alarm when that does not come."""

from chalicelib.domain.errors import Unavailable
from chalicelib.ports import Services, SweepRecord


def say_alive(services: Services, record: SweepRecord) -> str | None:
    """Call the dead man's URL, where there is one and the sweep was complete. Returns what is lacking, or None."""
    if services.deadman is None or not record.is_complete:
        return None
    try:
        services.deadman.is_alive()
    except Unavailable as error:
        return f"dead man: {error.detail}"
    return None
