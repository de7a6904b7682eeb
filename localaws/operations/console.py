"""GetConsoleOutput: what cloud-init prints once a box has booted (cloud-init, `write-ssh-key-fingerprints`).

EC2 tells it in base64; host keys are made at a box's first boot and stay on its disk, so they are of its id here.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

from localaws.operations import Call, operation
from localaws.operations.describe_instances import asked_boxes

BOOTS_IN = timedelta(seconds=90)
KINDS = (("ecdsa", 256, "ECDSA"), ("ed25519", 256, "ED25519"), ("rsa", 3072, "RSA"))


def fingerprint(box_id: str, kind: str) -> str:
    """Of one of a box's host keys, as ssh-keygen -l shows it."""
    digest = hashlib.sha256(f"{box_id} {kind}".encode()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@operation("ec2", "GetConsoleOutput")
def get_console_output(call: Call) -> dict[str, Any]:
    """Empty until the box has booted."""
    box = asked_boxes(call, [call.params["InstanceId"]])[0]
    has_booted = call.world.now >= box.launched_at + BOOTS_IN
    text = _printed(box.id) if has_booted else ""
    return {
        "InstanceId": box.id,
        "Timestamp": call.world.now,
        "Output": base64.b64encode(text.encode()).decode(),
    }


def _printed(box_id: str) -> str:
    host = f"root@ip-10-0-0-{int(box_id[-2:], 16)}"
    keys = [f"{bits} {fingerprint(box_id, kind)} {host} ({name})" for kind, bits, name in KINDS]
    block = ["#" * 61, "-----BEGIN SSH HOST KEY FINGERPRINTS-----", *keys]
    block += ["-----END SSH HOST KEY FINGERPRINTS-----", "#" * 61]
    lines = [
        "[    0.000000] Linux version 6.8.0-1018-aws",
        *(f"<14>ec2: {line}" for line in block),
        "login: ",
    ]
    return "\r\n".join(lines)
