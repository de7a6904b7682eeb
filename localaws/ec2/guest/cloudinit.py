"""cloud-init: what becomes of user data, at the first boot of an instance and at each."""

from __future__ import annotations

import base64
import email
import gzip
import re
import shlex
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import yaml

from localaws.ec2.guest.machine import Boot, Disk, Machine, Timer, read_unit
from localaws.ec2.guest.shell import Shell, run_script
from localaws.ec2.guest.times import NotATimeError, moment

TYPES = {
    "#!": "text/x-shellscript",
    "#cloud-config": "text/cloud-config",
    "#cloud-boothook": "text/cloud-boothook",
}
Part = tuple[str, str]
"""A content type and what it holds."""


def first_boot(user_data: bytes, booted_at: datetime) -> Boot:
    """The first start of an instance: its user data is run, once and for all."""
    machine = Machine(run_script, Disk(), booted_at)
    parts = list(_parts(_plain(user_data)))
    configs = [config for kind, text in parts if kind == "text/cloud-config" if (config := _config(text))]
    scripts = [text for kind, text in parts if kind == "text/x-shellscript" and text.startswith("#!")]
    for kind, text in parts:
        if kind not in TYPES.values() or (kind == "text/x-shellscript" and text not in scripts):
            machine.ignore(text)
    machine.disk.at_each_boot = [
        *(text for kind, text in parts if kind == "text/cloud-boothook"),
        *(_commands(config["bootcmd"]) for config in configs if config.get("bootcmd")),
    ]
    _run_all(machine, machine.disk.at_each_boot, booted_at)
    for config in configs:
        _write_files(machine.disk, config)
    once = [*scripts, *(_commands(config["runcmd"]) for config in configs if config.get("runcmd"))]
    done_at = _run_all(machine, once, booted_at)
    if any(_runs_scripts_always(config) for config in configs):
        machine.disk.at_each_boot += scripts
    for config in configs:
        _change_power_state(machine, config.get("power_state"), done_at)
    machine.run_crontabs(at_boot=False)
    return machine.boot()


def next_boot(disk: Disk, booted_at: datetime, off_since: datetime) -> Boot:
    """A later start: user data is not run again, only what lies on the disk."""
    left = disk.copy()
    left.jobs = [job for job in left.jobs if job.at > off_since]
    machine = Machine(run_script, left, booted_at, off_since)
    machine.run_what_boots()
    _run_all(machine, left.at_each_boot, booted_at)
    return machine.boot()


def with_timer_moved(boot: Boot, path: str, to: str, now: datetime) -> Boot | None:
    """The same boot after a script has given the timer unit at `path` another time (ISO 8601) and started it again, in
    the past meaning now; None where `to` is no time."""
    try:
        at = max(moment(to, now), now + timedelta(seconds=1))
    except NotATimeError:
        return None
    disk = boot.disk.copy()
    before = read_unit(disk.files[path]).get("OnCalendar", [])
    calendar = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    disk.files[path] = re.sub(r"(?m)^OnCalendar=.*$", f"OnCalendar={calendar}", disk.files[path])
    old, new = (Disk(files={**disk.files, path: text}) for text in (boot.disk.files[path], disk.files[path]))
    name = path.rpartition("/")[2]
    planned = _timers_of(old, name, now) if before else ()
    kept = list(boot.timers)
    for timer in planned:
        if timer in kept:
            kept.remove(timer)
    timers = sorted([*kept, *_timers_of(new, name, now)], key=lambda timer: timer.at)
    return Boot(tuple(timers), disk, boot.ignored)


def _timers_of(disk: Disk, name: str, now: datetime) -> tuple[Timer, ...]:
    machine = Machine(run_script, disk, now)
    machine.start_unit(name, now)
    return machine.boot().timers


def _plain(user_data: bytes) -> str:
    """User data as text; cloud-init takes gzip too."""
    if user_data.startswith(b"\x1f\x8b"):
        with suppress(OSError, EOFError, zlib.error):
            user_data = gzip.decompress(user_data)
    return user_data.decode(errors="replace")


def _parts(text: str) -> Iterator[Part]:
    """By content type, or by their first line where that says nothing."""
    if not text.lstrip().lower().startswith(("content-type:", "mime-version:")):
        yield _kind(text), text
        return
    for part in email.message_from_string(text.lstrip()).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            content = payload.decode(errors="replace") if isinstance(payload, bytes) else ""
            kind = part.get_content_type()
            yield kind if kind in TYPES.values() else _kind(content), content


def _kind(text: str) -> str:
    return next((kind for start, kind in TYPES.items() if text.lstrip().lower().startswith(start)), "unknown")


def _config(text: str) -> dict[str, Any]:
    found = None
    with suppress(yaml.YAMLError, ValueError):
        found = yaml.safe_load(text)
    return found if isinstance(found, dict) else {}


def _commands(entries: Any) -> str:
    """Each a line for the shell, or the words of a command."""
    lines = entries if isinstance(entries, list) else [entries]
    return "\n".join(shlex.join(map(str, line)) if isinstance(line, list) else str(line) for line in lines)


def _write_files(disk: Disk, config: dict[str, Any]) -> None:
    entries = config.get("write_files")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            continue
        content = str(entry.get("content", ""))
        if str(entry.get("encoding", "")).startswith(("b64", "base64")):
            with suppress(ValueError):
                content = base64.b64decode(content).decode(errors="replace")
        before = disk.files.get(entry["path"], "") if entry.get("append") else ""
        disk.files[entry["path"]] = before + content


def _runs_scripts_always(config: dict[str, Any]) -> bool:
    modules = config.get("cloud_final_modules")
    return isinstance(modules, list) and ["scripts-user", "always"] in modules


def _run_all(machine: Machine, scripts: list[str], at: datetime) -> datetime | None:
    """One after the other; the time at which the last is through, None if nobody knows."""
    now: datetime | None = at
    for script in scripts:
        if now is None:
            machine.ignore(script)
            continue
        shell = Shell(machine, now)
        outcome = shell.run_to_its_end(script)
        if outcome == "off":
            return None
        now = shell.now if outcome == "through" else None
    return now


def _change_power_state(machine: Machine, state: Any, at: datetime | None) -> None:
    """`power_state`: a shutdown(8) in so many minutes, once everything else has run (cloud-init's manual)."""
    if not isinstance(state, dict) or state.get("mode") != "poweroff" or at is None:
        return
    if state.get("condition", True) is not True:
        return
    delay = str(state.get("delay", "now"))
    line = f"shutdown -P {delay if delay == 'now' else '+' + delay.lstrip('+')}"
    Shell(machine, at).run_to_its_end(line)
