"""A launched box in a folder: the very scripts that its user data writes, a fake nvidia-smi, an instance metadata
service and Curfew's app behind one server on 127.0.0.1. One tick is one call; time is what the clock says."""

import base64
import gzip
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

MINUTE = timedelta(minutes=1)
SMI = """\
case "$*" in
*utilization*) cat {here}/use ;;
*compute-apps*) cat {here}/apps ;;
esac
exit $(cat {here}/fails)
"""
DATE = """\
[ "$1" = +%s ] && exec cat {here}/clock
exec /bin/date "$@"
"""
PACKED = r"(base64 -d <<'CURFEW' \| gunzip > \S+\n)(.*?)CURFEW\n"
PLACES = ("/usr/local/sbin", "/var/lib/curfew", "/etc/systemd/system", "/sys/class/dmi/id")
FILES = {"/proc/uptime": "uptime", "/proc/sys/kernel/random/boot_id": "boot", "/proc/loadavg": "load"}

Door = Callable[[str, str, bytes, Mapping[str, str]], tuple[int, bytes]]
"""Method, path, body, headers → status, body."""


@dataclass
class Net:
    """What the box reaches. `is_down`: nobody answers a heartbeat; `is_deaf`: it is taken, and the answer is lost."""

    door: Door
    now: Callable[[], datetime]
    instance_id: str
    url: str = ""
    tag: str = ""
    is_noticed: bool = False
    """EC2 has announced that it takes the box back."""
    is_down: bool = False
    is_deaf: bool = False
    posts: list[bytes] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def answer(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes] | None:
        """What comes back; None where nothing does."""
        if path == "/latest/api/token":
            return 200, b"token"
        if path == "/latest/meta-data/instance-id":
            return 200, self.instance_id.encode()
        if path == "/latest/meta-data/spot/instance-action":
            return (200, b'{"action": "terminate"}') if self.is_noticed else (404, b"")
        if path.startswith("/latest/meta-data/tags/"):
            return (200, self.tag.encode()) if self.tag else (404, b"")
        self.posts.append(body)
        if self.is_down:
            return None
        code, told = self.door(method, path, body, headers)
        self.codes.append(code)
        return None if self.is_deaf else (code, told)


@contextmanager
def served(net: Net) -> Iterator[Net]:
    """The net, on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # an older one lets curl wait a second before it sends a large body

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = net.answer(self.command, self.path, body, dict(self.headers.items()))
            self.close_connection = True
            if answer is None:
                return
            self.send_response_only(answer[0])
            self.send_header("Date", format_datetime(net.now(), usegmt=True))
            self.send_header("Content-Length", str(len(answer[1])))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer[1])

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 (http.server's names)

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    net.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield net
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class GuestBox:
    """The box. `off_by`: how far its clock is from the truth; `booted_at`: when it was last started."""

    here: Path
    net: Net
    booted_at: datetime
    off_by: timedelta = timedelta(0)
    boots: int = 1

    def install(self, user_data: str) -> None:
        """Run the user data, with the machine's places below one folder."""
        text = self._here(re.sub(PACKED, self._repacked, user_data, flags=re.DOTALL))
        bodies = {
            "nvidia-smi": SMI,
            "date": DATE,
            "sleep": "exit 0\n",
            "systemctl": 'echo "$@" >> {here}/calls\n',
        }
        for name, body in bodies.items():
            (self.here / name).write_text("#!/bin/sh\n" + body.format(here=self.here))
            (self.here / name).chmod(0o755)
        (self.here / "pts").mkdir(exist_ok=True)
        self.works(0)
        (self.here / "load").write_text("0.02 0.03 0.00 1/200 1234\n")
        self._set_time()
        self.run("-c", text)

    def _here(self, text: str) -> str:
        for place in PLACES:
            text = text.replace(place, str(self.here))
        for path, name in FILES.items():
            text = text.replace(path, str(self.here / name))
        return text.replace("http://169.254.169.254", self.net.url).replace(
            "/dev/pts", str(self.here / "pts")
        )

    def _repacked(self, found: re.Match[str]) -> str:
        """A script that is compressed in the user data, with its places below the folder."""
        own = self._here(gzip.decompress(base64.b64decode(found[2])).decode())
        return f"{found[1]}{base64.encodebytes(gzip.compress(own.encode())).decode()}CURFEW\n"

    def works(self, *use: object, apps: tuple[int, ...] = (), fails: int = 0) -> None:
        """What nvidia-smi says of each GPU and which processes compute, or that it fails."""
        (self.here / "use").write_text("".join(f"{one}\n" for one in use))
        (self.here / "apps").write_text("".join(f"{pid}\n" for pid in apps))
        (self.here / "fails").write_text(str(fails))

    def boots_again(self) -> None:
        """What is in memory alone is gone, and its uptime begins anew."""
        self.booted_at, self.boots = self.net.now(), self.boots + 1

    def types(self) -> None:
        """Somebody does, in a session."""
        (self.here / "pts" / "0").touch()

    def leaves(self) -> None:
        """Nobody does any more."""
        (self.here / "pts" / "0").unlink(missing_ok=True)

    def tick(self) -> int:
        """One minute's look: how many posts it made."""
        self._set_time()
        before = len(self.net.posts)
        self.run(str(self.here / "curfew-heartbeat"))
        return len(self.net.posts) - before

    def syncs(self) -> None:
        """One look at its data."""
        self._set_time()
        self.run(str(self.here / "curfew-sync"))

    def looks_at_its_end(self) -> bool:
        """The minute's look at the deadline: whether it has come."""
        self._set_time()
        return self.run(str(self.here / "curfew-deadline"), "end") == 0

    @property
    def calendar(self) -> datetime:
        """When its timer is set to."""
        found = re.search(r"OnCalendar=(.*) UTC", (self.here / "curfew-deadline.timer").read_text())
        assert found is not None
        return datetime.fromisoformat(found.group(1)).replace(tzinfo=UTC)

    def run(self, *words: str) -> int:
        """A POSIX shell, in a time zone of its own."""
        env = {"PATH": f"{self.here}:{os.environ['PATH']}", "TZ": "America/New_York", "LC_ALL": "C"}
        done = subprocess.run(["/bin/sh", *words], env=env, check=False, capture_output=True, text=True)
        assert "not found" not in done.stderr, done.stderr
        assert "yntax" not in done.stderr, done.stderr
        return done.returncode

    def _set_time(self) -> None:
        now = self.net.now()
        (self.here / "clock").write_text(f"{int((now + self.off_by).timestamp())}\n")
        (self.here / "uptime").write_text(f"{(now - self.booted_at).total_seconds():.2f} 0.00\n")
        (self.here / "boot").write_text(f"boot-{self.boots}\n")
