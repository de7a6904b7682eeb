"""contradicted: a source sees work while another has long been silent."""

from chalicelib.domain.case import Case, Effect, Finding


def contradicted(case: Case) -> Finding | None:
    """Say which source is silent, for 15 minutes or more, while another sees work. Work wins: nothing ends for it.

    It may be right, as of somebody who types; or a source is broken, or the box says what is not so.
    """
    if case.lease is None or not case.evidence.contradiction:
        return None
    return Finding(rule="contradicted", effect=Effect.KEEP, reason=case.evidence.contradiction)
