"""The decision: every rule's finding, what spares it, and the strictest effect of all."""

from chalicelib.domain.case import Case, Effect, Verdict
from chalicelib.domain.due import earliest
from chalicelib.domain.rules import RULES
from chalicelib.domain.rules.stopped_still_billing import stopped_still_billing
from chalicelib.domain.shields import lapses_at, spare


def decide(case: Case) -> Verdict:
    """Judge one case. All findings are kept, with their figures; a verdict never softens as time or spend grows."""
    rules = (stopped_still_billing,) if case.lease and case.lease.is_storage else RULES
    findings = tuple(spare(case, finding) for rule in rules if (finding := rule(case)) is not None)
    effect = max((finding.effect for finding in findings), default=Effect.KEEP)
    moments = [f.due_at for f in findings if not f.spared_by or (f.due_at and f.due_at > case.now)]
    if any(finding.spared_by for finding in findings):
        moments += lapses_at(case)
    return Verdict(case=case, effect=effect, findings=findings, due_at=earliest(case, effect, moments))
