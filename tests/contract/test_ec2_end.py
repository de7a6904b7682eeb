"""Ending per id: what one id spoils is split until it stands alone."""

from collections.abc import Collection, Mapping

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from chalicelib.gateways.ec2_end import each
from chalicelib.ports import Outcome


class FakeCall:
    """A call by ids that some ids spoil; keeps the sizes of the batches it saw."""

    def __init__(self, poison: Mapping[str, Exception]) -> None:
        self.poison = poison
        self.sizes: list[int] = []

    def __call__(self, ids: list[str]) -> Mapping[str, Outcome]:
        self.sizes.append(len(ids))
        for one in ids:
            if one in self.poison:
                raise self.poison[one]
        return {one: Outcome(accepted=True, answer="done") for one in ids}


def aws_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "TerminateInstances",
    )


def accepted(outcomes: Mapping[str, Outcome]) -> Collection[str]:
    return {one for one, outcome in outcomes.items() if outcome.accepted}


class TestSplitting:
    IDS = tuple(f"i-{number:03}" for number in range(100))

    def test_one_unknown_id_shields_no_other_of_a_batch_of_50(self) -> None:
        """One spot id that is gone has blocked 49 others elsewhere (instance-scheduler 76)."""
        ids = self.IDS[:50]
        poison = aws_error("InvalidInstanceID.NotFound")
        assert len(accepted(each(FakeCall({ids[7]: poison}), ids, at_once=50))) == 49

    @pytest.mark.parametrize(
        "error", [aws_error("InvalidInstanceID.NotFound"), aws_error("InternalError", 500)]
    )
    def test_the_poison_id_stands_alone(self, error: ClientError) -> None:
        """Every other id is done, in few calls, also when AWS answers the poison with a 500."""
        call = FakeCall({"i-042": error})
        outcomes = each(call, self.IDS, at_once=1000)
        assert accepted(outcomes) == set(self.IDS) - {"i-042"}
        assert outcomes["i-042"].answer == error.response["Error"]["Code"]
        assert outcomes["i-042"].is_absent == (
            error.response["Error"]["Code"] == "InvalidInstanceID.NotFound"
        )
        assert len(call.sizes) <= 16

    @pytest.mark.parametrize(
        "error", [aws_error("RequestLimitExceeded", 503), ConnectTimeoutError(endpoint_url="x")]
    )
    def test_a_throttle_is_not_made_worse(self, error: Exception) -> None:
        """Asked too often, or not reached: no id is to blame, so nothing is split."""
        call = FakeCall({"i-042": error})
        assert accepted(each(call, self.IDS, at_once=1000)) == set()
        assert call.sizes == [100]

    def test_splitting_ends_in_time(self) -> None:
        """What is left at the deadline is not accepted, and named."""
        call = FakeCall({"i-042": aws_error("InternalError", 500)})
        outcomes = each(call, self.IDS, at_once=1000, patience=-1)
        assert call.sizes == [100]
        assert {outcome.answer for outcome in outcomes.values()} == {"InternalError"}

    def test_one_absent_id_makes_no_other_absent_when_there_is_no_time_to_split(self) -> None:
        """An absent request counts as cancelled, an absent box as detached: one id's absence is not the batch's."""
        call = FakeCall({"sir-042": aws_error("InvalidSpotInstanceRequestID.NotFound")})
        outcomes = each(call, ["sir-041", "sir-042"], at_once=100, patience=-1)
        assert [outcome.is_absent for outcome in outcomes.values()] == [False, False]
        assert accepted(outcomes) == set()

    def test_batches_are_as_large_as_allowed(self) -> None:
        """One call for so many ids, each id once."""
        call = FakeCall({})
        assert len(each(call, [*self.IDS, "i-001"], at_once=40)) == 100
        assert call.sizes == [40, 40, 20]

    def test_an_id_that_is_not_answered_is_not_accepted(self) -> None:
        """Silence about an id is no success."""
        outcomes = each(lambda _: {}, ["i-1"], at_once=10)
        assert outcomes == {"i-1": Outcome(accepted=False, answer="NotAnswered")}
