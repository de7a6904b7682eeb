"""Which instance types cost like a GPU box: GPUs, Neuron, inference, media and FPGA accelerators.

A table of families that works offline, then the letters AWS has used for accelerated computing so far, so that a family
newer than this table is still guarded. (EC2 guide, "Accelerated computing instances".)
"""

import re

FAMILIES = frozenset(
    "dl1 dl2q f1 f2 g2 g3 g3s g4ad g4dn g5 g5g g6 g6e g6f gr6 gr6f g7 g7e inf1 inf2 p2 p3 p3dn p4d p4de p5 p5e p5en "
    "p6-b200 p6-b300 p6e-gb200 trn1 trn1n trn2 trn2u vt1".split()
)
_LETTERS = re.compile(r"^(p|g|gr|dl|inf|trn|f|vt)\d")


def family(instance_type: str) -> str:
    """`g4dn` of `g4dn.xlarge`."""
    return instance_type.partition(".")[0]


def is_accelerator(instance_type: str) -> bool:
    """Whether a type belongs to accelerated computing, known family or not."""
    return family(instance_type) in FAMILIES or bool(_LETTERS.match(instance_type))
