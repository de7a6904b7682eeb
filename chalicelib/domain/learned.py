"""What is kept of CloudWatch's answers from one sweep to the next. Forgetting it costs questions, never a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.evidence import Evidence
from chalicelib.domain.metrics import Gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What CloudWatch last answered about a lease, and what the answer rests on (`basis`).

    `gpus`: by instance id, where a box's GPUs have metrics of their own. `unknown_since`: since when nothing at all is
    known of its use, whoever was asked.
    """

    lease_id: str
    basis: str
    evidence: Evidence
    gpus: Mapping[str, Gpus] = field(default_factory=dict)
    unknown_since: datetime | None = None
