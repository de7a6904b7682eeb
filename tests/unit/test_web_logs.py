"""What the log says, and what it never says."""

import pytest

from chalicelib.web import logs
from tests.unit.web_kit import logged


@pytest.mark.parametrize(
    "secret, told",
    [
        (
            "T0AA/B0BB/xyz",
            "HTTPSConnectionPool(host='x'): failed with url: /services/T0AA/B0BB/xyz (Caused by …)",
        ),
        ("T0AA/B0BB/xyz", "POST https://hooks.slack.com/services/T0AA/B0BB/xyz"),
        ("sesame", "header was Authorization: Bearer sesame"),
        ("sesame", "GET /snooze?token=sesame&x=1"),
    ],
)
def test_a_traceback_is_logged_without_its_secrets(secret: str, told: str) -> None:
    """Exceptions of HTTP libraries carry addresses, and a Slack webhook's address is its password."""
    with logged() as lines:
        logs.failure("sweep failed", OSError(told), region="us-east-1")
    (line,) = lines
    assert (line["level"], line["what"], line["region"]) == ("error", "sweep failed", "us-east-1")
    assert "OSError" in line["traceback"]
    assert secret not in line["traceback"]


def test_lines_go_to_stderr_bare(capsys: pytest.CaptureFixture[str]) -> None:
    """Once each, however often it is set up; stdout stays for what a command prints."""
    logs.set_up()
    logs.set_up()
    logs.line("sweep", seen=3)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", '{"level": "info", "what": "sweep", "seen": 3}\n')
