"""Notices to Slack: what the channel shows, what a failure says, and what nobody may ever read."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Link
from chalicelib.domain.notices import Kind, Notice
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.slack import SlackNotifier
from chalicelib.gateways.slack_blocks import to_message, to_text
from chalicelib.ports import Notifier
from tests.contract.compute_labs import REGION
from tests.doubles.memory_ports import MemoryNotifier

SECRET = "/services/T000/B000/secret"
NOTICE = Notice(
    id="lease-1:warned",
    kind=Kind.WARNED,
    at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    title="i-1 (ann, us-east-1) will end: GPU below 1 % for 50 min",
    lines=("It ends at 09:40 UTC.", "It costs $1.01 an hour."),
    lease_id="lease-1",
)


class Channel(HTTPServer):
    """A Slack that keeps what it is sent and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.status = 200
        self.retry_after = ""
        self.refuses_blocks = False
        self.messages: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{SECRET}"


class _Post(BaseHTTPRequestHandler):
    server: Channel

    def do_POST(self) -> None:
        self.server.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        is_unreadable = self.server.refuses_blocks and "blocks" in self.server.messages[-1]
        self.send_response(400 if is_unreadable else self.server.status)
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def channel() -> Iterator[Channel]:
    with Channel() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def aws() -> Aws:
    session = new_session()
    session.set_credentials("testing", "testing")
    return Aws(REGION, session=session)


def test_a_notice_arrives(channel: Channel, aws: Aws) -> None:
    """Its title as header and as plain text, its lines, its lease and, in each reader's own zone, its time."""
    SlackNotifier(aws, url=channel.url).send(NOTICE)
    (message,) = channel.messages
    header, section, context = message["blocks"]
    assert message["text"] == header["text"]["text"] == NOTICE.title
    assert section["text"]["text"] == "It ends at 09:40 UTC.\nIt costs $1.01 an hour."
    assert context["elements"][0]["text"] == (
        "warned · <!date^1795426200^{date_short_pretty} {time}|2026-11-23 09:30 UTC> · lease lease-1"
    )


@pytest.mark.parametrize("status", [500, 404, 429, 302])
def test_any_other_answer_is_a_failure(channel: Channel, aws: Aws, status: int) -> None:
    """Only 2xx is sent, and nothing is sent twice or elsewhere."""
    channel.status = status
    with pytest.raises(Unavailable, match=f"Slack answered {status}"):
        SlackNotifier(aws, url=channel.url).send(NOTICE)
    assert len(channel.messages) == 1


def test_nobody_there_is_a_failure_without_the_secret(
    channel: Channel, aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither message, cause nor log shows the webhook."""
    caplog.set_level(logging.DEBUG)
    SlackNotifier(aws, url=channel.url).send(NOTICE)
    with pytest.raises(Unavailable) as failure:
        SlackNotifier(aws, url=f"http://127.0.0.1:1{SECRET}").send(NOTICE)
    with pytest.raises(Unavailable) as nonsense:
        SlackNotifier(aws, url=f"nonsense://{SECRET}").send(NOTICE)
    for error in (failure.value, nonsense.value):
        assert "secret" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__
    assert "secret" not in caplog.text


def test_the_webhook_can_stand_in_ssm(channel: Channel, aws: Aws) -> None:
    """It is read once, when it is first needed."""
    notifier = SlackNotifier(aws, parameter="/curfew/slack", clock=StillClock())
    with Stubber(aws.ssm()) as stubber:
        stubber.add_client_error("get_parameter", "ThrottlingException", http_status_code=400)
        with pytest.raises(Unavailable, match="/curfew/slack: ThrottlingException"):
            notifier.send(NOTICE)
        expected = {"Name": "/curfew/slack", "WithDecryption": True}
        stubber.add_response("get_parameter", {"Parameter": {"Value": channel.url}}, expected)
        notifier.send(NOTICE)
        notifier.send(NOTICE)
    assert len(channel.messages) == 2


def test_a_webhook_that_is_gone_is_read_anew(channel: Channel, aws: Aws) -> None:
    """Whoever puts a new one into the parameter need not deploy."""
    notifier = SlackNotifier(aws, parameter="/curfew/slack", clock=StillClock())
    with Stubber(aws.ssm()) as stubber:
        stubber.add_response("get_parameter", {"Parameter": {"Value": channel.url}})
        channel.status = 404
        with pytest.raises(Unavailable):
            notifier.send(NOTICE)
        channel.status = 200
        stubber.add_response("get_parameter", {"Parameter": {"Value": channel.url}})
        notifier.send(NOTICE)
        notifier.send(NOTICE)
        stubber.assert_no_pending_responses()


def test_an_empty_parameter_is_a_failure(aws: Aws) -> None:
    """Somebody made it and did not fill it."""
    with Stubber(aws.ssm()) as stubber:
        stubber.add_response("get_parameter", {"Parameter": {}})
        with pytest.raises(Unavailable, match="is empty"):
            SlackNotifier(aws, parameter="/curfew/slack").send(NOTICE)


def test_without_a_webhook_it_says_so(aws: Aws) -> None:
    """Not configured is known beforehand."""
    notifier = SlackNotifier(aws)
    assert not notifier.is_configured
    assert SlackNotifier(aws, url="http://x").is_configured
    assert SlackNotifier(aws, parameter="p").is_configured
    with pytest.raises(Unavailable):
        notifier.send(NOTICE)


def message_of(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": "n", "kind": Kind.ENDED, "at": NOTICE.at, "title": "t"}
    return to_message(Notice(**facts | changes))


def test_tags_cannot_call_a_channel() -> None:
    """Slack's control characters are written out."""
    message = message_of(title="<!channel> & co", lines=("<https://x|click>",))
    assert message["text"] == "&lt;!channel&gt; &amp; co"
    assert message["blocks"][1]["text"]["text"] == "&lt;https://x|click&gt;"


def test_a_long_notice_is_cut_where_slack_would_refuse_it() -> None:
    """Headers of 150 and sections of 3000 characters, no escape cut in two; a title that was cut stands in full below."""
    title = "<" * 100
    message = message_of(title=title, lines=("&" * 4000,))
    header, section, _ = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000
    assert section["text"]["text"].startswith("&lt;" * 100)
    assert header["text"]["text"].removesuffix("…").replace("&lt;", "") == ""
    assert section["text"]["text"].endswith("&amp;…")


def test_a_notice_without_lines_has_no_empty_section() -> None:
    """Slack refuses empty text."""
    assert [block["type"] for block in message_of()["blocks"]] == ["header", "context"]


def broken(channel: Channel, aws: Aws) -> Notifier:
    channel.status = 500
    return SlackNotifier(aws, url=channel.url)


def broken_twin(channel: Channel, aws: Aws) -> Notifier:
    twin = MemoryNotifier()
    twin.fail()
    return twin


@pytest.mark.parametrize("make", [broken, broken_twin])
def test_the_twin_fails_as_the_gateway(channel: Channel, aws: Aws, make: Any) -> None:
    """Both raise Unavailable."""
    with pytest.raises(Unavailable, match="Slack answered 500"):
        make(channel, aws).send(NOTICE)


class StillClock:
    """Stands still; sleeping moves it."""

    def __init__(self) -> None:
        self.at = NOTICE.at
        self.slept = 0.0

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.at += timedelta(seconds=seconds)

    def elapsed(self) -> float:
        return self.slept


def test_a_webhook_gets_one_message_a_second(channel: Channel, aws: Aws) -> None:
    """The first at once; one that comes later anyway waits for nothing."""
    clock = StillClock()
    notifier = SlackNotifier(aws, url=channel.url, clock=clock)
    for _ in range(3):
        notifier.send(NOTICE)
    assert clock.slept == 2
    clock.at += timedelta(minutes=1)
    notifier.send(NOTICE)
    assert clock.slept == 2


@pytest.mark.parametrize("told, seconds", [("30", 30.0), ("", 1.0), ("soon", 1.0), ("999999", 3600.0)])
def test_too_many_says_how_long_to_wait(channel: Channel, aws: Aws, told: str, seconds: float) -> None:
    """As Slack says, a second where it says nothing, never a day."""
    channel.status, channel.retry_after = 429, told
    with pytest.raises(Unavailable) as failure:
        SlackNotifier(aws, url=channel.url).send(NOTICE)
    assert failure.value.extra == {"status": 429, "retry_after": seconds}


def test_what_slack_can_t_read_is_sent_as_plain_text(channel: Channel, aws: Aws) -> None:
    """With all that it says, its parts and links: a warning without its end and its links would warn nobody."""
    channel.refuses_blocks = True
    keep = Link(label="Keep it 1 h", url="https://c.example/a&b")
    part = replace(NOTICE, lines=("It ends at 2026-11-23 09:40 UTC.",), links=(keep,))
    bundle = Notice(id="n", kind=Kind.WARNED, at=NOTICE.at, title="1 warnings", parts=(part,))
    SlackNotifier(aws, url=channel.url, clock=StillClock()).send(bundle)
    assert channel.messages[-1] == {
        "text": f"1 warnings\n\n{NOTICE.title}\n"
        "It ends at <!date^1795426800^{date_short_pretty} {time}|2026-11-23 09:40 UTC>.\n"
        "<https://c.example/a&amp;b|Keep it 1 h>",
        "unfurl_links": False,
        "unfurl_media": False,
    }


@pytest.mark.parametrize("status, why", [(404, "was revoked"), (410, "archived"), (403, "may not post")])
def test_a_webhook_that_is_gone_says_so(channel: Channel, aws: Aws, status: int, why: str) -> None:
    """The status alone tells nobody what to do."""
    channel.status = status
    with pytest.raises(Unavailable, match=why):
        SlackNotifier(aws, url=channel.url).send(NOTICE)


def test_links_are_slack_s_and_nothing_else_becomes_one() -> None:
    """Not fetched for a preview; a stranger's address stays text."""
    message = message_of(
        lines=("see https://evil.example now",),
        links=(Link(label="Keep it 1 h", url="https://c.example/a&b"),),
    )
    texts = [block["text"] for block in message["blocks"] if block["type"] == "section"]
    assert texts[-1]["text"] == "<https://c.example/a&amp;b|Keep it 1 h>"
    assert all(text["verbatim"] for text in texts)
    assert (message["unfurl_links"], message["unfurl_media"]) == (False, False)


def test_moments_are_shown_in_each_reader_s_zone() -> None:
    """With what they say in UTC where Slack can't; what only looks like one stays as it is."""
    message = message_of(lines=("It ends at 2026-11-23 09:40 UTC, not at 2026-13-45 99:99 UTC.",))
    assert message["blocks"][1]["text"]["text"] == (
        "It ends at <!date^1795426800^{date_short_pretty} {time}|2026-11-23 09:40 UTC>, "
        "not at 2026-13-45 99:99 UTC."
    )


ANY_TEXT = some.text(some.sampled_from("<>&a`\n\x00é🦀2026-11-23 09:40 UTC"), max_size=4000)


@given(ANY_TEXT, some.lists(ANY_TEXT, max_size=3), some.sampled_from(Kind), some.integers(0, 10))
def test_slack_takes_whatever_a_notice_says(title: str, lines: list[str], kind: Kind, parts: int) -> None:
    """50 blocks, 3000 characters a section, 150 a header, and no markup but Curfew's own."""
    one = Notice(id="n", kind=kind, at=NOTICE.at, title=title, lines=tuple(lines))
    message = to_message(replace(one, parts=(one,) * parts))
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        for text in (block.get("text"), *block.get("elements", ())):
            if text is None:
                continue
            assert len(text["text"]) <= (150 if block["type"] == "header" else 3000)
            assert "<" not in re.sub(
                r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[-0-9: ]+ UTC>", "", text["text"]
            )
    assert len(message["text"]) <= 3000
    assert len(to_text(replace(one, parts=(one,) * parts))["text"]) <= 40_000
