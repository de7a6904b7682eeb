"""`serve` and `demo`: what is said on the command line, and what comes of it."""

from __future__ import annotations

import argparse
import gc
import os
import sys

from localaws.errors import LocalAwsError
from localaws.machine import lacking
from localaws.serve import options
from localaws.serve.environment import configure_curfew, fence_off

OURS = {"app", "chalicelib", "localaws"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a mistake is said on stderr, with exit status 2."""
    parser = argparse.ArgumentParser(prog="localaws", description="AWS on this machine, with Curfew on it.")
    commands = parser.add_subparsers(required=True, metavar="command")
    options.add_to(commands.add_parser("serve", help="serve AWS and Curfew until stopped"))
    commands.add_parser("demo", help="play the main job, and check it against the truth")
    args = parser.parse_args(arguments)
    try:
        if "admin_token" not in args:
            return _demo()
        _serve(options.read(args))
    except LocalAwsError as problem:
        print(f"localaws: {problem}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as problem:  # of an environment that was only half installed
        name = (problem.name or "").partition(".")[0]
        if name in OURS:
            raise
        print(lacking([name], " ".join(["-m localaws", *(arguments or sys.argv[1:])])), file=sys.stderr)
        return 2
    return 0


def _serve(chosen: options.Options) -> None:
    fence_off(os.environ, region=chosen.regions[0], endpoint_url=chosen.aws_url)
    configure_curfew(
        os.environ,
        regions=chosen.regions,
        admin_token=chosen.admin_token,
        api_url=chosen.api_url,
        aws_url=chosen.aws_url,
    )
    gc.disable()  # what is imported stays: the collector goes through it in vain, for a fifth of the start
    # boto3, moto and the application read the environment when they are imported: not before it is fenced off.
    from localaws.serve.server import serve  # noqa: PLC0415

    serve(chosen)
    # Threads that wait for an answer of a server that is gone would hold the interpreter up for their time-outs.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _demo() -> int:
    from localaws.demo.show import show  # noqa: PLC0415 as above

    return show()
