"""GET /audit: which changes are asked for."""

from pydantic import Field

from chalicelib.web.models import PageQuery, Printable
from chalicelib.web.moments import FORM, MOMENT


class AuditQuery(PageQuery):
    """GET /audit."""

    since: str | None = Field(default=None, pattern=MOMENT, description=f"changes from then on: {FORM}")
    owner: str | None = Field(
        default=None,
        pattern=Printable,
        max_length=256,
        description="who called; link for whoever used a warning's link",
    )
