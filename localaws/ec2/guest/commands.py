"""The commands that the shell knows: each has the shell, its arguments, what it reads, and the line it stands in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from localaws.ec2.guest import times
from localaws.ec2.guest.expansion import ASSIGNMENT
from localaws.ec2.guest.machine import Job, OffError, Status, ThroughError, UnsureError

if TYPE_CHECKING:
    from localaws.ec2.guest.shell import Shell

TIMED_BY = ("--on-active", "--on-boot", "--on-startup", "--on-calendar")
"""The options of systemd-run that make it a timer."""


def _sleep(shell: Shell, arguments: list[str], _: str | None, __: str) -> Status:
    if not arguments or "infinity" in arguments:
        raise UnsureError
    shell.now += sum((times.span(text) for text in arguments), timedelta(0))
    return True


def _shutdown(shell: Shell, arguments: list[str], _: str | None, source: str) -> Status:
    """Without a time in one minute, as shutdown(8) of systemd does."""
    flags = [word for word in arguments if word.startswith("-")]
    letters = set("".join(flag for flag in flags if not flag.startswith("--")))
    when = next((word for word in arguments if not word.startswith("-")), "+1")
    if "c" in letters:
        shell.machine.cancel()
    elif letters & set("rkH") or set(flags) & {"--reboot", "--halt", "--show"}:
        shell.machine.ignore(source)
    elif when in ("now", "+0", "0"):
        _turn_off(shell, source)
    elif re.fullmatch(r"\+?\d+", when):
        shell.machine.schedule(shell.now + timedelta(minutes=int(when)), source)
    else:
        shell.machine.schedule(times.clock(when, shell.now), source)
    return True


def _turn_off(shell: Shell, source: str) -> Status:
    shell.machine.turn_off(shell.now, source)
    raise OffError


def _poweroff(shell: Shell, arguments: list[str], _: str | None, source: str) -> Status:
    if {"--halt", "--reboot", "-w", "--wtmp-only"} & set(arguments):
        shell.machine.ignore(source)
        return True
    _turn_off(shell, source)
    return True


def _halt(shell: Shell, arguments: list[str], _: str | None, source: str) -> Status:
    """Only with -p: else the box is at rest and runs on (EC2 guide)."""
    if {"-p", "--poweroff"} & set(arguments):
        _turn_off(shell, source)
    shell.machine.ignore(source)
    return True


def _init(shell: Shell, arguments: list[str], _: str | None, source: str) -> Status:
    if arguments == ["0"]:
        _turn_off(shell, source)
    return True


def _systemctl(shell: Shell, arguments: list[str], _: str | None, source: str) -> Status:
    words = [word for word in arguments if not word.startswith("-")]
    verb, names = (words[0], words[1:]) if words else ("", [])
    if verb == "poweroff" or (verb in ("start", "isolate") and names == ["poweroff.target"]):
        _turn_off(shell, source)
    for name in names:
        _unit(shell, verb, name if "." in name else f"{name}.service", at_once="--now" in arguments)
    return True


def _unit(shell: Shell, verb: str, name: str, *, at_once: bool) -> None:
    if verb in ("enable", "reenable"):
        shell.machine.disk.enabled[name] = None
    if verb in ("disable", "mask"):
        shell.machine.disk.enabled.pop(name, None)
    if verb in ("stop", "restart") or (verb in ("disable", "mask") and at_once):
        shell.machine.forget(name)
    if verb in ("start", "restart") or (verb in ("enable", "reenable") and at_once):
        shell.machine.start_unit(name, shell.now)


def _systemd_run(shell: Shell, arguments: list[str], _: str | None, source: str) -> Status:
    """A transient timer; without one the command runs at once, beside the script."""
    options, command = _options(arguments)
    unit = (options.get("--unit") or options.get("-u") or "").removesuffix(".service").removesuffix(".timer")
    shell.machine.run_later(_elapses_at(shell, options), shlex.join(command), f"{unit}.timer" if unit else "")
    return True


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options of systemd-run, and the command behind them."""
    options: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        if name == "--":
            break
        if name in (*TIMED_BY, "--unit", "-u", "-p") and not equals and rest:
            value = rest.pop(0)
        options[name] = value
    return options, rest


def _elapses_at(shell: Shell, options: dict[str, str]) -> datetime | None:
    if "--on-active" in options:
        return shell.now + times.span(options["--on-active"])
    if "--on-calendar" in options:
        return times.systemd_calendar(options["--on-calendar"]).after(shell.now)
    after_boot = options.get("--on-boot") or options.get("--on-startup")
    if after_boot is None:
        return shell.now
    return max(shell.now, shell.machine.booted_at + times.span(after_boot))


def _at(shell: Shell, arguments: list[str], stdin: str | None, source: str) -> Status:
    words = [word for word in arguments if word not in ("-M", "-m", "-v")]
    script, when = stdin, " ".join(words)
    if words[:1] == ["-f"]:
        script, when = shell.machine.disk.files.get(words[1]), " ".join(words[2:])
    if script is None:
        shell.machine.ignore(source)
        return None
    at = times.touch_time(when[3:].strip()) if when.startswith("-t") else times.moment(when, shell.now)
    shell.machine.disk.jobs.append(Job(at, script))
    shell.machine.run_later(max(at, shell.now), script)
    return True


def _crontab(shell: Shell, arguments: list[str], stdin: str | None, _: str) -> Status:
    if arguments == ["-r"]:
        shell.machine.disk.crontab = ""
    elif arguments[:1] == ["-"] and stdin is not None:
        shell.machine.disk.crontab = stdin
    elif arguments and arguments[0] in shell.machine.disk.files:
        shell.machine.disk.crontab = shell.machine.disk.files[arguments[0]]
    return True


def _shell(shell: Shell, arguments: list[str], stdin: str | None, source: str) -> Status:
    """`bash -c '…'`, `bash file`, or a script on stdin."""
    flags = [word for word in arguments if word.startswith("-")]
    words = [word for word in arguments if not word.startswith("-")]
    if any("c" in flag for flag in flags if not flag.startswith("--")) and words:
        return shell.include(words[0])
    script = shell.machine.disk.files.get(words[0]) if words else stdin
    if script is None:
        shell.machine.ignore(source)
        raise UnsureError
    return shell.include(script)


def _test(shell: Shell, arguments: list[str], _: str | None, __: str) -> Status:
    return shell.environment.test(arguments, shell.now, shell.machine.disk.files)


def _arithmetic(shell: Shell, arguments: list[str], _: str | None, __: str) -> Status:
    return shell.environment.compare(arguments[0], shell.now)


def _export(shell: Shell, arguments: list[str], _: str | None, __: str) -> Status:
    for word in arguments:
        if ASSIGNMENT.match(word):
            shell.environment.assign(word)
    return True


def _exit(shell: Shell, _: list[str], __: str | None, ___: str) -> Status:
    raise ThroughError


Command = Callable[["Shell", list[str], str | None, str], Status]
COMMANDS: dict[str, Command] = {
    "sleep": _sleep,
    "shutdown": _shutdown,
    "poweroff": _poweroff,
    "halt": _halt,
    "init": _init,
    "telinit": _init,
    "systemctl": _systemctl,
    "systemd-run": _systemd_run,
    "at": _at,
    "crontab": _crontab,
    **dict.fromkeys(("bash", "sh", "dash", "source", "."), _shell),
    **dict.fromkeys(("[", "[[", "test"), _test),
    "((": _arithmetic,
    **dict.fromkeys(("export", "readonly", "declare", "local"), _export),
    **dict.fromkeys(("exit", "return"), _exit),
    "true": lambda *_: True,
    ":": lambda *_: True,
    "false": lambda *_: False,
}
