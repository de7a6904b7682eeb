"""Notices to an SNS topic: plain text that SNS takes, whatever a stranger has written into a tag."""

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.domain.bundles import as_one
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.guard import Item
from chalicelib.domain.links import Link
from chalicelib.domain.notices import Kind, Notice
from chalicelib.gateways.aws import HURRIED, Aws, new_session
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.gateways.sns import SnsNotifier, body, subject
from tests.builders import minutes
from tests.doubles.memory_ports import START

ARN = "arn:aws:sns:eu-west-1:123456789012:curfew"
NOTICE = Notice(
    id="n",
    kind=Kind.WARNED,
    at=START,
    title="i-1 will end",
    lines=("soon",),
    links=(Link(label="Keep it 1 h", url="https://curfew.example/snooze/x"),),
)


def test_a_notice_is_published_to_its_topic_and_counted() -> None:
    """In the topic's own region, its links with their addresses."""
    session, ledger = new_session(), MemoryLedger()
    session.set_credentials("testing", "testing")
    aws = Aws("us-east-1", session=session, ledger=ledger)
    client = aws.client("sns", "eu-west-1", HURRIED)
    expected = {
        "TopicArn": ARN,
        "Subject": "Curfew: i-1 will end",
        "Message": "i-1 will end\nsoon\nKeep it 1 h: https://curfew.example/snooze/x",
    }
    with Stubber(client) as stubber:
        stubber.add_response("publish", {"MessageId": "1"}, expected)
        SnsNotifier(aws, topic_arn=ARN).send(NOTICE)
        stubber.add_client_error("publish", "NotFound", http_status_code=404)
        with pytest.raises(Unavailable, match="SNS answered NotFound"):
            SnsNotifier(aws, topic_arn=ARN).send(NOTICE)
    assert ledger.hand_over(START, every=minutes(1)).get(Item.TOPIC_MESSAGES) in {None, 1}


def test_without_a_topic_it_says_so() -> None:
    """Known beforehand."""
    notifier = SnsNotifier(Aws("us-east-1"), topic_arn=None)
    assert not notifier.is_configured
    with pytest.raises(Unavailable):
        notifier.send(NOTICE)


@given(some.text(max_size=300))
def test_a_subject_is_one_that_sns_takes(title: str) -> None:
    """Printable ASCII, under a hundred characters."""
    made = subject(Notice(id="n", kind=Kind.WARNED, at=START, title=title))
    assert made.isascii()
    assert made.isprintable()
    assert len(made) < 100


def test_several_in_one_message_are_all_there() -> None:
    """And what is far too long is cut."""
    parts = tuple(
        Notice(id=str(n), kind=Kind.ENDED, at=START, title=f"box {n}", lines=("x",)) for n in range(3)
    )
    assert body(as_one(parts)) == "3 ends\n\nbox 0\nx\n\nbox 1\nx\n\nbox 2\nx"
    long = Notice(id="n", kind=Kind.ENDED, at=START, title="t", lines=("é" * 10**6,))
    assert len(body(long).encode()) < 256 * 1024
