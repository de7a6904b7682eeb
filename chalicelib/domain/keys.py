"""Key pairs for SSH: what EC2 takes as a public key, and what people send in its place.

EC2 takes RSA and ED25519. Its guide ("Create a key pair") names RSA of 1024, 2048 and 4096 bits; people have imported
3072, which ssh-keygen makes unasked (aws-cli 5336), and 8192 (terraform-aws-key-pair 16). The form is RFC 4253,
section 6.6, and RFC 8709: parts of a length in four bytes and so many bytes, in base64 behind the name of its type.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from chalicelib.domain.errors import Refused

KeyType = Literal["rsa", "ed25519"]
RSA, ED25519 = "ssh-rsa", "ssh-ed25519"
LEAST_RSA_BITS = 1024
ED25519_BYTES = 32
_LENGTH_BYTES = 4
_FINGERPRINT = re.compile(r"\d{3,5} (SHA256:|MD5:|([0-9a-f]{2}:){3})|([0-9a-f]{2}:){15}")
_MAKE_ONE = "Make one that it takes with: ssh-keygen -t ed25519, and send the line of its .pub file"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A key pair of a region as EC2 knows it: it has the public part alone."""

    name: str
    region: str
    id: str
    type: str
    fingerprint: str
    created_at: datetime | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeyPair:
    """A key pair that EC2 has made, with its private part: told once, kept nowhere."""

    pair: KeyPair
    private_key: str = field(repr=False)


def checked(text: str) -> tuple[KeyType, str]:
    """The type of a public key, and the line to send to EC2. Raises Refused, with what it is instead and the fix; what
    was sent is in no message."""
    line = text.strip().removeprefix("\ufeff").strip()
    _is_no_other_thing(line)
    _begins_as_a_key(line)
    kind, _, rest = line.partition(" ")
    if kind not in {RSA, ED25519}:
        raise _bad(
            f"its type {_shown(kind)} is not one that EC2 takes, which are {RSA} and {ED25519}. {_MAKE_ONE}"
        )
    encoded = rest.strip().partition(" ")[0]
    parts = _parts(encoded)
    if not parts or parts[0] != kind.encode():
        raise _bad(f"it begins with {kind}, and what follows is no such key: a part of it was lost. {_WHOLE}")
    _has_its_parts(kind, parts)
    return ("rsa" if kind == RSA else "ed25519"), line


_WHOLE = "Send the whole line of the .pub file, such as with: cat ~/.ssh/id_ed25519.pub"


def _is_no_other_thing(line: str) -> None:
    if "PRIVATE KEY" in line or line.startswith("PuTTY-User-Key-File"):
        raise _bad(
            "this is a private key. It was neither kept nor sent on, but it has left your machine: make a new one, and "
            "send the line of its .pub file"
        )
    if "BEGIN SSH2 PUBLIC KEY" in line or "BEGIN PUBLIC KEY" in line or "BEGIN RSA PUBLIC KEY" in line:
        raise _bad(
            "it is not in OpenSSH's form. Convert it with: ssh-keygen -i -m PKCS8 -f FILE (RFC4716 for PuTTY's)"
        )
    if len([one for one in line.splitlines() if one.startswith((RSA, ED25519))]) > 1:
        raise _bad(
            "these are several keys, each on its own line. Send one of them; import the others by their own names"
        )
    if "\n" in line or "\r" in line:
        raise _bad(
            "it has a line break in it, as terminals that wrap long lines copy it. It is one line: join it"
        )


def _begins_as_a_key(line: str) -> None:
    if "-cert-v01@" in line.partition(" ")[0]:
        raise _bad(
            f"it is a certificate, which EC2 does not take. Send the key that it was made for: {_WHOLE}"
        )
    if line.startswith("AAAA"):
        raise _bad(f"the name of its type is missing before it. {_WHOLE}")
    if line.startswith(("SHA256:", "MD5:")) or _FINGERPRINT.match(line):
        raise _bad(f"it is a key's fingerprint. {_WHOLE}")
    if line.startswith(("~", "/", "./")) or line.partition(" ")[0].endswith(".pub"):
        raise _bad(f"it is the name of a file. {_WHOLE}")
    if f" {RSA} " in line or f" {ED25519} " in line:
        raise _bad("it has options before its type, as a line of authorized_keys may. Send what follows them")
    if line.startswith(("ssh-dss", "ecdsa-", "sk-")):
        raise _bad(
            f"EC2 takes neither DSA nor ECDSA nor keys of hardware tokens, only RSA and ED25519. {_MAKE_ONE}"
        )


def _has_its_parts(kind: str, parts: list[bytes]) -> None:
    if kind == ED25519:
        if len(parts) != 2 or len(parts[1]) != ED25519_BYTES:  # noqa: PLR2004 (its name and the key)
            raise _bad(f"it is too short or too long for {ED25519}. {_WHOLE}")
        return
    if len(parts) != 3:  # noqa: PLR2004 (its name, the exponent and the modulus)
        raise _bad(f"it is too short or too long for {RSA}. {_WHOLE}")
    bits = int.from_bytes(parts[2]).bit_length()
    if bits < LEAST_RSA_BITS:
        raise _bad(f"it is an RSA key of {bits} bits; EC2 takes {LEAST_RSA_BITS} at least. {_MAKE_ONE}")


def _parts(encoded: str) -> list[bytes]:
    """The parts of a key; none where it is not base64, or ends within one."""
    try:
        left = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return []
    parts = []
    while left:
        size = int.from_bytes(left[:_LENGTH_BYTES])
        part = left[_LENGTH_BYTES : _LENGTH_BYTES + size]
        if len(left) < _LENGTH_BYTES or len(part) < size:
            return []
        parts.append(part)
        left = left[_LENGTH_BYTES + size :]
    return parts


def _shown(kind: str) -> str:
    """A type's name, and nothing that could be a part of a secret."""
    return repr(kind) if kind.startswith(("ssh-", "x509")) and len(kind) < 40 else "at its beginning"  # noqa: PLR2004


def _bad(what: str) -> Refused:
    return Refused(
        f"public_key can't be imported: {what}. Nothing was imported".replace("..", "."), slug="bad-key"
    )
