"""Links in memory: signed with a secret that the test knows."""

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Claim, claim_of, token_of

SECRET = b"a secret of the tests, long enough to be one"
ADDRESS = "https://curfew.example/prod/snooze/"


class MemoryLinks:
    """Signs as the gateway does; `is_down`: the secret can't be read."""

    def __init__(self) -> None:
        self.is_down = False

    def url(self, claim: Claim) -> str:
        if self.is_down:
            raise Unavailable("SSM did not answer")
        return ADDRESS + token_of(claim, SECRET)

    def read(self, token: str) -> Claim | None:
        if self.is_down:
            raise Unavailable("SSM did not answer")
        return claim_of(token, SECRET)
