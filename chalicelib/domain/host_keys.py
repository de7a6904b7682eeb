"""The host keys of a box, as cloud-init prints their fingerprints on the console when it makes them.

What a console says is text of the box. Nothing of it is taken but lines of one form between the two marks, and of those
the first that were printed: whoever can write to the console later adds nothing.
"""

import re
from datetime import datetime, timedelta

from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Status

ASKED_AT = frozenset({2, 3, 5, 8, 13, 21})
"""Minutes after its start at which a box is asked: EC2 shows a console minutes late, and some boxes print nothing."""
MOST_KEYS = 8
_BEGIN, _END = (f"-----{word} SSH HOST KEY FINGERPRINTS-----" for word in ("BEGIN", "END"))
_KEY = re.compile(
    r"^(?:[^\r\n]{0,200}\s)?\d{3,5} (SHA256:[A-Za-z0-9+/]{43}) [^\r\n]{0,200}\((RSA|ED25519|ECDSA)\)\s*$",
    re.MULTILINE,
)
_MINUTE = timedelta(minutes=1)


def fingerprints(console: str) -> tuple[str, ...]:
    """`ED25519 SHA256:…` of each key, as ssh shows it at the first connection; none where they are not printed yet."""
    block, end, _ = console.partition(_BEGIN)[2].partition(_END)
    found = _KEY.findall(block) if end else []
    return tuple(dict.fromkeys(f"{kind} {shown}" for shown, kind in found))[:MOST_KEYS]


def is_due(lease: Lease, box: Instance, now: datetime) -> bool:
    """Whether its console is worth asking for in this minute: a few times after a start, until it has told."""
    if lease.status is not Status.ACTIVE or lease.is_storage or box.id in lease.host_keys:
        return False
    if box.state != "running" or not box.public_ip or box.launched_at is None:
        return False
    return (now - box.launched_at) // _MINUTE in ASKED_AT
