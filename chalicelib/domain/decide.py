"""The decision: every rule's finding, what spares it, and the strictest effect of all."""

from chalicelib.domain.case import Case, Effect, Verdict
from chalicelib.domain.rules import RULES
from chalicelib.domain.shields import spare


def decide(case: Case) -> Verdict:
    """Judge one case. All findings are kept, with their figures; a verdict never softens as time or spend grows."""
    findings = tuple(spare(case, finding) for rule in RULES if (finding := rule(case)) is not None)
    return Verdict(
        case=case,
        effect=max((finding.effect for finding in findings), default=Effect.KEEP),
        findings=findings,
    )
