"""`python -m localaws serve`: AWS, the application on it, and time, in one process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localaws.environment import TABLE, configure_curfew, fence_off

STOP_WITHIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    api_port: int
    aws_port: int
    speed: float
    admin_token: str
    regions: tuple[str, ...]
    seed: int
    start: datetime
    app_dir: Path

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then stop within two seconds."""
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    fence_off(os.environ, region=options.regions[0], endpoint_url=options.aws_url)
    configure_curfew(
        os.environ, regions=options.regions, admin_token=options.admin_token, api_url=options.api_url, aws_url=options.aws_url
    )
    # boto3, moto and the application read the environment when they are imported: not before it is fenced.
    from localaws.conductor import Conductor
    from localaws.control import PREFIX, Control
    from localaws.lambdas import Lambdas, load_app
    from localaws.ports import api_server, aws_server, start
    from localaws.template import Template, create_table
    from localaws.wire import HttpRequest, HttpResponse
    from localaws.world import World

    template = Template(options.app_dir)
    with World(regions=options.regions, seed=options.seed, start=options.start) as world:

        def respond(request: HttpRequest) -> HttpResponse:
            return control.handle(request) if request.url.startswith(PREFIX) else world.endpoint.handle(request)

        def make_ready() -> None:
            create_table(world, template.table_properties(), TABLE)
            _forget_caches()

        def start_over() -> None:
            conductor.start_over(make_ready)

        aws = aws_server(options.aws_port, respond)
        make_ready()
        app = load_app(options.app_dir)
        api = api_server(app, options.api_port)
        conductor = Conductor(world, Lambdas(app, template, world.home_region, world.now), options.speed)
        control = Control(world, conductor, start_over)
        start(aws, "aws")
        conductor.start()
        conductor.sweep_once()
        start(api, "api")
        print(f"ready {options.api_url}", flush=True)
        stopping.wait()
        conductor.stop(STOP_WITHIN_SECONDS)
        for server in (api, aws):
            server.shutdown()
            server.server_close()


def _forget_caches() -> None:
    """Let the application build its services anew, as a fresh Lambda would."""
    bootstrap = sys.modules.get("chalicelib.bootstrap")
    services = getattr(bootstrap, "services", None)
    if hasattr(services, "cache_clear"):
        services.cache_clear()


def real_now() -> datetime:
    """The real time, at the last whole minute: where the virtual clock starts unless told otherwise."""
    return datetime.now(UTC).replace(second=0, microsecond=0)
