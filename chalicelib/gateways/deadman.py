"""The dead man's switch: an address somewhere else that is called while Curfew lives, and raises its alarm when no call
comes. Whoever knows it can keep it silent, so it is in no message, log or traceback.
"""

import logging

import urllib3
from urllib3.exceptions import HTTPError

from chalicelib.domain.errors import Unavailable

TIMEOUT = urllib3.Timeout(total=3.0)

logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines show the path, which is the secret


class DeadManUrl:
    """A DeadMan that is called by GET."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(maxsize=1)

    def is_alive(self) -> None:
        """Say that Curfew lives, within 3 s. Raises Unavailable."""
        try:
            answer = self._http.request("GET", self._url, timeout=TIMEOUT, retries=False, redirect=False)
        except (HTTPError, ValueError, OSError) as error:
            raise Unavailable(f"the dead man's URL did not answer: {type(error).__name__}") from None
        if not 200 <= answer.status < 300:  # noqa: PLR2004 (HTTP)
            raise Unavailable(f"the dead man's URL answered {answer.status}", status=answer.status)
