"""`python -m localaws serve`: AWS, the application on it, and time, in one process."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time

import boto3

from localaws.ec2.heartbeats import Heartbeats
from localaws.errors import LocalAwsError
from localaws.events.containers import Containers, forget_caches
from localaws.events.lambdas import Lambdas, load_app
from localaws.mortality import watched_process
from localaws.onmoto.buckets import make_bucket
from localaws.protocol.wire import HttpRequest, HttpResponse
from localaws.serve.conductor import Conductor
from localaws.serve.control import PREFIX, Control
from localaws.serve.environment import BUCKET, TABLE
from localaws.serve.options import Options
from localaws.serve.ports import api_server, aws_server, start
from localaws.serve.quiet import hush_idle_sweeps
from localaws.template import Template, create_table
from localaws.world import World

STOP_WITHIN_SECONDS = 1.0
LOOK_UP_SECONDS = 0.1


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then stop within two seconds. The environment is fenced off already."""
    ready, stopping = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        if not ready.is_set():  # the first sweep may take longer than a caller waits
            os._exit(0)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    _check_regions(options.regions)
    template = Template(options.app_dir)
    opened = World(
        regions=options.regions,
        seed=options.seed,
        start=options.start,
        clients_wait=True,
        forwarded=options.forwarded,
        app_dir=options.app_dir,
        throttled=True,
        stopwatch=time.monotonic,
    )
    with opened as world, watched_process():

        def respond(request: HttpRequest) -> HttpResponse:
            return (
                control.handle(request) if request.url.startswith(PREFIX) else world.endpoint.handle(request)
            )

        def make_ready() -> None:
            create_table(world, template.table_properties(), TABLE)
            make_bucket(BUCKET, world.home_region)
            forget_caches()

        aws = aws_server(options.aws_port, respond)
        make_ready()
        app = load_app(options.app_dir)
        hush_idle_sweeps()
        containers = Containers(world)
        api = api_server(app, options.api_port, template, containers)
        lambdas = Lambdas(world, app, template)
        conductor = Conductor(
            world,
            lambdas,
            Heartbeats(world, options.api_url),
            options.speed,
            waits=lambda: containers.is_changing,
        )
        control = Control(world, conductor, lambda: conductor.start_over(make_ready))
        start(aws, "aws")
        conductor.start()
        conductor.sweep_once()
        start(api, "api")
        gc.freeze()  # from here on only what comes of the calls is gone through
        gc.enable()
        ready.set()
        print(f"ready {options.api_url}", flush=True)
        _say(
            f"Curfew {options.api_url} takes the token {options.admin_token}; the simulated AWS and its /_world are "
            f"at {options.aws_url}; Ctrl-C ends both"
        )
        while not stopping.wait(LOOK_UP_SECONDS):  # a signal is only heard when this thread wakes up
            pass
        conductor.stop(STOP_WITHIN_SECONDS)
        for server in (api, aws):
            server.shutdown()
            server.server_close()


def _say(text: str) -> None:
    """For people; who starts it from a program reads `ready` alone."""
    print(text, file=sys.stderr, flush=True)


def _check_regions(regions: tuple[str, ...]) -> None:
    known = boto3.Session().get_available_regions("ec2")
    for region in regions:
        if region not in known:
            raise LocalAwsError(
                f"--regions: there is no region {region!r}; {', '.join(known[:3])} and others exist"
            )
