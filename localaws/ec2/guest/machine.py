"""The operating system of a box from one boot to its end: its disk, what it has planned, and when that ends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from localaws.ec2.guest import times

ENDING = re.compile(r"\b(shutdown|poweroff|halt|telinit|init\s+0|terminate-instances)\b")
"""What a line has in it that may end the box."""
Status = bool | None
"""Of a command: done, failed, or nobody knows."""
Runner = Callable[["Machine", str, datetime], None]


class OffError(Exception):
    """The box is off: nothing comes after this."""


class ThroughError(Exception):
    """The script is through."""


class UnsureError(Exception):
    """Nobody knows when the script goes on from here."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A shutdown to come, and the line that orders it."""

    at: datetime
    line: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job of `at`, which lies on the disk until it is run."""

    at: datetime
    script: str


@dataclass(slots=True)
class Disk:
    """What is still there after a stop and a start."""

    files: dict[str, str] = field(default_factory=dict)
    enabled: dict[str, None] = field(default_factory=dict)
    crontab: str = ""
    jobs: list[Job] = field(default_factory=list)
    at_each_boot: list[str] = field(default_factory=list)

    def copy(self) -> Disk:
        return replace(
            self,
            files=dict(self.files),
            enabled=dict(self.enabled),
            jobs=list(self.jobs),
            at_each_boot=list(self.at_each_boot),
        )


@dataclass(frozen=True, slots=True)
class Boot:
    """What a start of the box leads to."""

    timers: tuple[Timer, ...]
    disk: Disk
    ignored: tuple[str, ...]
    """Lines that would end the box, and were not understood."""

    @property
    def shutdown_at(self) -> datetime | None:
        return min((timer.at for timer in self.timers), default=None)


class Machine:
    """One boot. `run` is the shell; `off_since` is when the box went down before."""

    def __init__(
        self, run: Runner, disk: Disk, booted_at: datetime, off_since: datetime | None = None
    ) -> None:
        self._run = run
        self.disk = disk
        self.booted_at = booted_at
        self.off_since = off_since
        self._ends: list[Timer] = []
        self._scheduled: Timer | None = None
        self._named: dict[str, list[Timer]] = {}
        self._ignored: dict[str, None] = {}

    def boot(self) -> Boot:
        """What all of it comes to, once everything has run that runs at boot."""
        ends = self._due()
        for timers in self._named.values():
            ends += timers
        return Boot(tuple(sorted(ends, key=lambda timer: timer.at)), self.disk, tuple(self._ignored))

    # Ways down

    def turn_off(self, at: datetime, line: str) -> None:
        """The box goes down then, whatever else happens."""
        self._ends.append(Timer(at, line))

    def schedule(self, at: datetime, line: str) -> None:
        """shutdown(8) knows one time only, the last it was told."""
        self._scheduled = Timer(at, line)

    def cancel(self) -> None:
        """`shutdown -c`: of what shutdown(8) knows, not of other timers."""
        self._scheduled = None

    def ignore(self, source: str) -> None:
        """Remember the lines that would have ended the box."""
        for line in source.splitlines():
            if ENDING.search(line) and not line.lstrip().startswith("#"):
                self._ignored[line.strip()] = None

    # What runs later

    def run_later(self, at: datetime | None, script: str, name: str = "") -> None:
        """Run a script at a time; `name` is that of the timer, by which it can be stopped."""
        if at is None:
            return
        before = self._ends, self._scheduled
        self._ends, self._scheduled = [], None
        self._run(self, script, at)
        self._named.setdefault(name, []).extend(self._due())
        self._ends, self._scheduled = before

    def _due(self) -> list[Timer]:
        return [*self._ends, *([self._scheduled] if self._scheduled else [])]

    def forget(self, name: str) -> None:
        """`systemctl stop`: its timer runs nothing any more."""
        if name:
            self._named.pop(name, None)

    def run_what_boots(self) -> None:
        """Everything on the disk that a boot starts."""
        for unit in self.disk.enabled:
            self.start_unit(unit, self.booted_at)
        for job in self.disk.jobs:
            self.run_later(max(job.at, self.booted_at), job.script)
        self.run_crontabs(at_boot=True)

    def run_crontabs(self, *, at_boot: bool) -> None:
        for when, command in crontab_lines(self.disk):
            if when == "@reboot":
                self.run_later(self.booted_at if at_boot else None, command)
                continue
            with suppress(times.NotATimeError):
                self.run_later(times.cron_calendar(when).after(self.booted_at), command)

    # systemd

    def start_unit(self, name: str, at: datetime) -> None:
        """`systemctl start` of a timer or a service that lies on the disk."""
        unit = read_unit(self.disk.files.get(f"/etc/systemd/system/{name}", ""))
        if name.endswith(".timer"):
            script = self._service_of(name, unit)
            for moment in self._elapses(unit, at):
                self.run_later(moment, script, name)
        elif unit:
            self.run_later(at, "\n".join(unit.get("ExecStart", [])), name)

    def _service_of(self, name: str, unit: dict[str, list[str]]) -> str:
        service = (unit.get("Unit") or [name.removesuffix(".timer") + ".service"])[0]
        content = self.disk.files.get(f"/etc/systemd/system/{service}", "")
        if service in ("poweroff.target", "shutdown.target"):
            return f"systemctl start {service}"
        return "\n".join(read_unit(content).get("ExecStart", []))

    def _elapses(self, unit: dict[str, list[str]], started_at: datetime) -> Iterator[datetime]:
        """When a timer unit elapses first, by each of its rules."""
        with suppress(times.NotATimeError):
            for text in unit.get("OnBootSec", []) + unit.get("OnStartupSec", []):
                yield max(self.booted_at + times.span(text), started_at)
            for text in unit.get("OnActiveSec", []):
                yield started_at + times.span(text)
            for text in unit.get("OnCalendar", []):
                yield from self._calendar_elapses(text, unit, started_at)

    def _calendar_elapses(
        self, text: str, unit: dict[str, list[str]], started_at: datetime
    ) -> Iterator[datetime]:
        """The next one; or now, if the timer is persistent and one passed while the box was off (systemd.timer)."""
        calendar = times.systemd_calendar(text)
        catches_up = unit.get("Persistent", [""])[0].lower() in ("true", "yes", "on", "1")
        missed = calendar.after(self.off_since) if catches_up and self.off_since else None
        if missed is not None and missed <= started_at:
            yield started_at
        elif found := calendar.after(started_at - timedelta(seconds=1)):
            yield found


def read_unit(content: str) -> dict[str, list[str]]:
    """The settings of a unit file, whatever their section; an empty value takes back those before it."""
    found: dict[str, list[str]] = {}
    for line in content.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or line.lstrip().startswith(("#", ";", "[")):
            continue
        if value.strip():
            found.setdefault(name.strip(), []).append(value.strip().lstrip("-@+!"))
        else:
            found.pop(name.strip(), None)
    return found


def crontab_lines(disk: Disk) -> Iterator[tuple[str, str]]:
    """When and what, of root's crontab and of the system's, whose lines name a user too."""
    for line in disk.crontab.splitlines():
        yield from _crontab_line(line, names_user=False)
    for path, content in disk.files.items():
        if path == "/etc/crontab" or path.startswith("/etc/cron.d/"):
            for line in content.splitlines():
                yield from _crontab_line(line, names_user=True)


def _crontab_line(line: str, *, names_user: bool) -> Iterator[tuple[str, str]]:
    line = line.strip()
    fields = 1 if line.startswith("@") else 5
    parts = line.split(None, fields + names_user)
    if line and not line.startswith("#") and len(parts) == fields + names_user + 1 and "=" not in parts[0]:
        yield " ".join(parts[:fields]), parts[-1]
