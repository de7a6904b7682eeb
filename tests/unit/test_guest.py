"""The deadline in a box's user data: what the box does with it, alone and beside what the caller wants to run."""

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from email.parser import Parser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Refused
from chalicelib.domain.guest import LIMIT_BYTES, is_readable, is_too_long, takes_deadline, user_data
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.lease import RequestType
from localaws.ec2.guest import first_boot, next_boot
from tests.builders import HOUR, Stage

BOOT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
END = BOOT + HOUR
MINUTE = timedelta(minutes=1)
BEACON = Beacon(lease_id="lease-0123456789abcdef0", url="https://curfew.example/it's/prod/", key="0" * 64)
MULTIPART = """\
Content-Type: multipart/mixed; boundary="mine"
MIME-Version: 1.0

--mine
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/sh
echo theirs

--mine--
"""
UNDERSTOOD = {
    "none": None,
    "script": "#!/bin/sh\necho theirs\n",
    "endless": "#!/bin/bash\npython train.py\n",
    "not ascii": "#!/bin/sh\necho théirs ünï\n",
    "cloud-config": "#cloud-config\nruncmd:\n  - echo theirs\n",
    "multipart": MULTIPART,
    "our boundary": "#!/bin/sh\necho ==curfew-0== theirs\n",
}


@pytest.mark.parametrize("beacon", [None, BEACON], ids=["silent", "telling"])
@pytest.mark.parametrize("own", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_a_box_shuts_itself_down_at_its_end(own: str | None, beacon: Beacon | None) -> None:
    """Whatever else its user data does, however long that takes, and whether it tells of its work or not."""
    told = user_data(own, END, beacon)
    assert told is not None
    boot = first_boot(told.encode(), BOOT)
    assert (boot.shutdown_at, boot.ignored) == (END, ())


@pytest.mark.parametrize(
    "own", [one for one in UNDERSTOOD.values() if one], ids=[n for n in UNDERSTOOD if n != "none"]
)
def test_the_caller_s_part_is_all_there_and_comes_second(own: str) -> None:
    """Word for word, with the type that cloud-init knows it by."""
    told = user_data(own, END)
    assert told is not None
    parts = [one for one in Parser().parsestr(told).walk() if not one.is_multipart()]
    texts = [bytes(one.get_payload(decode=True) or b"").decode() for one in parts]  # type: ignore[arg-type]
    assert "curfew-deadline" in texts[0]
    assert texts[1].strip() in own
    assert "theirs" in texts[1] or "theirs" in own or "train" in texts[1] or "théirs" in texts[1]
    assert told == user_data(own, END)


@pytest.mark.parametrize("own", ["[settings]\nmotd = 'x'\n", "just words"])
def test_what_cloud_init_does_not_know_is_left_as_it_is(own: str) -> None:
    """Another system's user data would be broken by a part of ours: that box has no deadline of its own."""
    assert not takes_deadline(own)
    assert user_data(own, END) == own
    lease = Stage().launch(user_data=own)
    assert lease.guest_deadline is None


@pytest.mark.parametrize("off_for", [MINUTE, 5 * HOUR])
def test_the_deadline_outlives_a_stop_and_a_start(off_for: timedelta) -> None:
    """A box that was off when its time came goes down as soon as it is up again."""
    boot = first_boot((user_data(None, END) or "").encode(), BOOT)
    up_again = BOOT + 10 * MINUTE + off_for
    assert next_boot(boot.disk, up_again, BOOT + 10 * MINUTE).shutdown_at == max(END, up_again)


def test_both_together_must_fit_into_what_ec2_takes() -> None:
    """What is too long is refused before anything is held, and says what to do."""
    own = "#!/bin/sh\n" + "#" * (LIMIT_BYTES - 1000)
    assert is_too_long(own, END)
    stage = Stage()
    with pytest.raises(Refused, match="a file that user_data fetches") as caught:
        stage.launch(user_data=own)
    assert caught.value.slug == "user-data-too-large"
    assert stage.store.open_leases() == ()


NESTED = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(300))


@pytest.mark.parametrize(
    "own", [NESTED, "Content-Type: message/rfc822\n\n" * 500, "Content-Type: \x0bX-Other: header\n"]
)
@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.MAINTAIN])
def test_what_is_no_mime_message_is_refused_before_anything_is_held(own: str, kind: RequestType) -> None:
    """However it is broken: what reads it gives up in ways of its own."""
    stage = Stage()
    with pytest.raises(Refused) as caught:
        stage.launch(user_data=own, request_type=kind)
    assert caught.value.slug == "user-data-unreadable"
    assert stage.store.open_leases() == ()


@given(
    st.lists(
        st.sampled_from(
            [*"\n\r\x0b\x0c\x1c\x85:; a", "--a\n", "MIME-Version: 1", "X-Y: z\n", "charset=utf-16", "ü"]
        )
    ).map("".join)
)
def test_a_mime_message_is_read_and_written_or_refused(rest: str) -> None:
    """There is no third."""
    own = f"Content-Type: multipart/mixed; boundary=a{rest}"
    if is_readable(own):
        assert user_data(own, END, BEACON)


def test_a_box_that_others_would_replace_tells_of_its_work_and_never_ends_itself() -> None:
    """A fleet that keeps its target would start another one."""
    told = user_data(None, None, BEACON)
    assert told is not None
    assert first_boot(told.encode(), BOOT).shutdown_at is None
    assert "curfew-heartbeat.timer" in told
    assert "shutdown" not in told
    assert user_data("#!/bin/sh\n", None) == "#!/bin/sh\n"


def test_our_part_leaves_the_caller_half_of_what_ec2_takes() -> None:
    """All of it, with an address of any usual length, quoted so that a shell takes it for one word."""
    told = user_data(None, END, BEACON)
    assert told is not None
    assert len(told.encode()) <= LIMIT_BYTES * 0.55
    assert subprocess.run(["/bin/sh", "-n", "-c", told], check=False).returncode == 0


# What the script on the disk does, in a shell


def installed(tmp_path: Path, *, tag: str | None, end: datetime) -> Path:
    """The script as the user data writes it, with the machine's paths below a folder, and a metadata service that tells
    one tag, or is silent."""
    text = (user_data(None, end) or "").replace("/usr/local/sbin", str(tmp_path))
    text = text.replace("/var/lib/curfew", str(tmp_path)).replace("/etc/systemd/system", str(tmp_path))
    text = text.replace("/sys/class/dmi/id", str(tmp_path))
    answers = f'case "$*" in *api/token*) echo t;; *) echo "{tag}";; esac' if tag is not None else "exit 22"
    for name, body in {"curl": answers, "systemctl": f'echo "$@" >> {tmp_path}/calls'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    run(tmp_path, "-c", text)
    (tmp_path / "calls").unlink()
    return tmp_path


def run(tmp_path: Path, *words: str) -> int:
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TZ": "America/New_York"}
    return subprocess.run(["/bin/sh", *words], env=env, check=False, capture_output=True).returncode


def calendar(tmp_path: Path) -> str:
    found = re.search(r"OnCalendar=(.*)", (tmp_path / "curfew-deadline.timer").read_text())
    assert found is not None
    return found.group(1)


FUTURE, PAST = datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2001, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_moved_tag_moves_the_timer(tmp_path: Path) -> None:
    """In the box's own clock, whatever its time zone is; the end has not come."""
    box = installed(tmp_path, tag="2999-01-02T05:04:05.250000+02:00", end=PAST)
    assert run(box, str(box / "curfew-deadline")) == 1
    assert calendar(box) == "2999-01-02 03:04:05 UTC"
    assert (box / "calls").read_text().splitlines() == ["daemon-reload", "restart curfew-deadline.timer"]


def test_a_tag_that_is_as_known_changes_nothing(tmp_path: Path) -> None:
    """Each minute but one."""
    box = installed(tmp_path, tag=FUTURE.isoformat(), end=FUTURE)
    assert run(box, str(box / "curfew-deadline"), "end") == 1
    assert not (box / "calls").exists()


@pytest.mark.parametrize("tag", [None, "", "soon", "$(reboot)", "9" * 40])
def test_a_tag_that_is_no_time_or_does_not_come_moves_nothing(tmp_path: Path, tag: str | None) -> None:
    """What is on the disk stands."""
    box = installed(tmp_path, tag=tag, end=PAST)
    assert run(box, str(box / "curfew-deadline"), "end") == 0
    assert calendar(box) == "2001-01-02 03:04:05 UTC"
    assert (box / "calls").read_text().splitlines() == ["start --no-block curfew-deadline.service"]


def test_a_tag_in_the_past_ends_the_box(tmp_path: Path) -> None:
    """A timer whose time has passed while it was set never fires: the minute's look ends the box."""
    box = installed(tmp_path, tag=PAST.isoformat(), end=FUTURE)
    assert run(box, str(box / "curfew-deadline"), "end") == 0
    assert (box / "calls").read_text().splitlines()[-1] == "start --no-block curfew-deadline.service"


@pytest.mark.parametrize("began_as, runs_as, ends", [("i-1", "i-1", 0), ("i-1", "i-2", 1), (None, None, 0)])
def test_a_disk_that_was_copied_into_another_box_ends_nothing_there(
    tmp_path: Path, began_as: str | None, runs_as: str | None, ends: int
) -> None:
    """An image of a box carries its script and its deadline, which is long over; a machine that has no tag stays as
    it was."""
    board = tmp_path / "board_asset_tag"
    if began_as:
        board.write_text(f"{began_as}\n")
    box = installed(tmp_path, tag=None, end=PAST)
    if runs_as:
        board.write_text(f"{runs_as}\n")
    assert run(box, str(box / "curfew-deadline"), "end") == ends
    assert (box / "calls").exists() is (ends == 0)
