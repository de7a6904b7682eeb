"""A token for somebody, from a Curfew that runs; or a first one, to deploy with.

    make token OWNER=ada ROLE=launcher       with CURFEW_URL and CURFEW_TOKEN (an admin's) in the environment
    make token                               a first token, and the hash that the deployment takes

`EXPIRES_IN=P90D` ends it by itself, `LIMIT_USD=50` gives its owner a monthly budget. The token is the last line, and
nowhere else: it is not kept. Exit 1: Curfew refused; 2: something was not said.
"""

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from chalicelib.domain.tokens import ID_BYTES, SECRET_BYTES, compose, hash_of  # noqa: E402

SECONDS = 30.0

Post = Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]]
"""A POST: address, headers and body; status and answer."""


def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """One call. Raises URLError where nobody answers."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 checked
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 the address was checked
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def main(environ: Mapping[str, str], send: Post = post) -> int:
    """Make one as the environment says."""
    said = {name: environ.get(name, "").strip() for name in ("OWNER", "ROLE", "EXPIRES_IN", "LIMIT_USD")}
    url, admin = environ.get("CURFEW_URL", "").strip(), environ.get("CURFEW_TOKEN", "").strip()
    if not said["OWNER"]:
        return _first()
    if not (url.startswith(("http://", "https://")) and admin):
        print(
            "a token for somebody is made by a Curfew that runs: set CURFEW_URL to its address and CURFEW_TOKEN to an "
            "admin's token. Without OWNER a first token is made, to deploy with",
            file=sys.stderr,
        )
        return 2
    return _minted(f"{url.rstrip('/')}/tokens", admin, said, send)


def _first() -> int:
    text = compose(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
    print("# the admin's token: keep it, and deploy with its hash (docs/deploy.md):")
    print(f"AdminTokenSha256={hash_of(text)}")
    print(text)
    return 0


def _minted(url: str, admin: str, said: Mapping[str, str], send: Post) -> int:
    wish: dict[str, Any] = {"owner": said["OWNER"], "role": said["ROLE"] or "launcher"}
    if said["EXPIRES_IN"]:
        wish["expires_in"] = said["EXPIRES_IN"]
    if said["LIMIT_USD"]:
        wish["budget"] = {"limit_usd": said["LIMIT_USD"]}
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    try:
        status, answer = send(url, headers, json.dumps(wish).encode())
        told = json.loads(answer)
    except (OSError, ValueError) as error:
        print(
            f"{url} did not answer as Curfew does: {error}. A token may have been made: GET /tokens",
            file=sys.stderr,
        )
        return 1
    if "token" not in told:
        print(f"{status} {told.get('title', '')}: {told.get('detail', answer)}", file=sys.stderr)
        for field in told.get("errors", ()):
            print(f"  {field['field']} {field['detail']}", file=sys.stderr)
        return 1
    until = told["expires_at"] or "it is taken back"
    print(f"# {told['role']} {told['owner']}, until {until}; to take it back: DELETE /tokens/{told['id']}")
    print(told["token"])
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
