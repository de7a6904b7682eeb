"""Links signed with the secret of this deployment, given as it is or as the SSM parameter that holds it."""

from __future__ import annotations

from chalicelib.domain import links
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Claim
from chalicelib.gateways.aws import AWS_ERRORS, Aws, code_of

LEAST_LETTERS = 32
"""Of a secret: 128 bits in hexadecimal. A shorter one could be guessed from any link."""


class SignedLinks:
    """Implements chalicelib.ports.Links below the public address of the API."""

    def __init__(
        self, aws: Aws, *, public_url: str, secret: str | None = None, parameter: str | None = None
    ) -> None:
        self._aws = aws
        self._public_url = public_url.rstrip("/")
        self._secret = secret
        self._parameter = parameter

    def url(self, claim: Claim) -> str:
        """Where a claim is made good. Raises Unavailable."""
        return f"{self._public_url}/snooze/{links.token_of(claim, self._key())}"

    def read(self, token: str) -> Claim | None:
        """What a token claims, None for one that was not made here. Raises Unavailable."""
        return links.claim_of(token, self._key())

    def _key(self) -> bytes:
        self._secret = self._secret or self._read_secret()
        return self._secret.encode()

    def _read_secret(self) -> str:
        """From SSM, when it is first needed. Raises Unavailable."""
        name = self._parameter
        try:
            answer = self._aws.ssm().get_parameter(Name=name or "", WithDecryption=True)
        except AWS_ERRORS as error:
            raise Unavailable(
                f"the secret of links could not be read from SSM parameter {name}: {code_of(error)}"
            ) from error
        secret = (answer.get("Parameter") or {}).get("Value") or ""
        if len(secret) < LEAST_LETTERS:
            raise Unavailable(
                f"SSM parameter {name} holds less than {LEAST_LETTERS} letters: no link is made"
            )
        return secret
