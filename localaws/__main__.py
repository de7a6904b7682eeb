"""The command line: `python -m localaws serve`."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 an older Python should say so in one line
    sys.exit("localaws needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2])

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path

from localaws.errors import LocalAwsError
from localaws.server import Options, real_now, serve

DEFAULT_REGIONS = "us-east-1,us-west-2,eu-west-1"
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; errors are one line on stderr and exit status 2."""
    args = _parser().parse_args(arguments)
    try:
        serve(_options(args))
    except LocalAwsError as problem:
        print(f"localaws: {problem}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localaws", description="AWS on this machine, with Curfew on it.")
    commands = parser.add_subparsers(required=True, metavar="command")
    serve_command = commands.add_parser("serve", help="serve AWS and Curfew until stopped")
    serve_command.add_argument("--api-port", type=int, default=8000, help="Curfew's own HTTP API (default 8000)")
    serve_command.add_argument("--aws-port", type=int, default=5000, help="AWS, and the truth under /_world (default 5000)")
    serve_command.add_argument("--speed", type=float, default=60.0,
                               help="at most so many times as fast as real time; 0: only by POST /_world/clock")
    serve_command.add_argument("--admin-token", required=True, help="the bearer token that Curfew's API takes")
    serve_command.add_argument("--regions", default=DEFAULT_REGIONS, help="comma list; the first is the home region")
    serve_command.add_argument("--seed", type=int, default=0, help="of prices, delays and fault rates")
    serve_command.add_argument("--start", default="", help="ISO 8601 time at which the clock starts (default: now)")
    serve_command.add_argument("--app-dir", default="", help=argparse.SUPPRESS)
    return parser


def _options(args: argparse.Namespace) -> Options:
    return Options(
        api_port=_port(args.api_port, "--api-port"), aws_port=_port(args.aws_port, "--aws-port"), speed=_speed(args.speed),
        admin_token=args.admin_token, regions=_regions(args.regions), seed=args.seed, start=_start(args.start),
        app_dir=Path(args.app_dir).resolve() if args.app_dir else _app_dir(),
    )


def _app_dir() -> Path:
    """The repository this is run in: the nearest folder with an app.py, else the one this package belongs to."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "app.py").exists()), Path(__file__).parents[1])


def _port(port: int, option: str) -> int:
    if not 1 <= port <= 65535:
        raise LocalAwsError(f"{option} must be between 1 and 65535, not {port}")
    return port


def _speed(speed: float) -> float:
    if speed < 0:
        raise LocalAwsError(f"--speed must be 0 or more, not {speed}")
    return speed


def _regions(text: str) -> tuple[str, ...]:
    regions = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not regions:
        raise LocalAwsError("--regions must name at least one region, such as us-east-1")
    from botocore.session import Session

    known = Session().get_available_regions("ec2")
    for region in regions:
        if not REGION.fullmatch(region) or region not in known:
            raise LocalAwsError(f"--regions: there is no region {region!r}; write for example {DEFAULT_REGIONS}")
    return regions


def _start(text: str) -> datetime:
    if not text:
        return real_now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise LocalAwsError(f"--start must be a time such as 2026-03-02T09:00:00Z, not {text!r}") from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
