"""User data that ends its box: what a guest sets up at boot happens at its virtual time, as a shutdown from inside.

Scripts are tried on `localaws.ec2.guest` alone, at a boot at 09:00; what becomes of the box is tried through EC2.
"""

from __future__ import annotations

import base64
import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localaws.ec2.guest import first_boot, next_boot
from localaws.world import World
from tests.localaws.conftest import IMAGE

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DEADLINE = int((NINE + 90 * MINUTE).timestamp())
TIMER_UNIT = """cat > /etc/systemd/system/end.timer <<'EOF'
[Timer]
OnCalendar=2026-03-02 10:00:00 UTC
{more}
[Install]
WantedBy=timers.target
EOF
cat <<EOF | sudo tee /etc/systemd/system/end.service >/dev/null
[Service]
Type=oneshot
ExecStart=/sbin/shutdown -h now
EOF
systemctl daemon-reload
systemctl enable --now end.timer
"""

UNITS_BY_CLOUD_CONFIG = """write_files:
- path: /etc/systemd/system/end.timer
  content: |
    [Timer]
    OnBootSec=2h
- path: /etc/systemd/system/end.service
  content: |
    [Service]
    ExecStart=/sbin/poweroff
runcmd:
- systemctl enable --now end.timer
"""
MIME = 'Content-Type: multipart/mixed; boundary="//"\nMIME-Version: 1.0\n\n--//\n'
ALWAYS = f"""{MIME}Content-Type: text/cloud-config

#cloud-config
cloud_final_modules:
- [scripts-user, always]
--//
Content-Type: text/x-shellscript

#!/bin/bash
shutdown -h +20
--//--
"""


def at(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"2026-03-{text}:00+00:00")


def booted(script: str, head: str = "#!/bin/bash\n") -> datetime | None:
    return first_boot((head + script).encode(), NINE).shutdown_at


def run(ec2: Any, user_data: str = "", **options: Any) -> str:
    launch = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}
    answer = ec2.run_instances(**launch, UserData=user_data, **options)
    instance_id: str = answer["Instances"][0]["InstanceId"]
    return instance_id


def state(ec2: Any, box_id: str) -> str:
    (row,) = ec2.describe_instances(InstanceIds=[box_id])["Reservations"]
    name: str = row["Instances"][0]["State"]["Name"]
    return name


@pytest.mark.parametrize(
    "script, when",
    [
        ("shutdown -h +60", "02T10:00"),
        ("shutdown -h 60 'bye'", "02T10:00"),
        ("shutdown -P 18:30", "02T18:30"),
        ("shutdown -h 08:30", "03T08:30"),
        ("shutdown now", "02T09:00"),
        ("shutdown", "02T09:01"),
        ("/sbin/poweroff", "02T09:00"),
        ("sudo systemctl poweroff", "02T09:00"),
        ("init 0", "02T09:00"),
        ("shutdown +60\nshutdown +30", "02T09:30"),
        ("shutdown +60\nshutdown -c", None),
        ("shutdown -r +5", None),
        ("shutdown -k +5", None),
    ],
)
def test_shutdown_keeps_one_time_and_forgets_it_when_cancelled(script: str, when: str | None) -> None:
    """`+m`, `hh:mm` and `now`, one minute without a time; -r, -k and -c end nothing (shutdown(8))."""
    assert booted(script) == at(when)


@pytest.mark.parametrize("script, when", [("halt", None), ("shutdown -H now", None), ("halt -p", "02T09:00")])
def test_a_halt_does_not_end_the_instance(script: str, when: str | None) -> None:
    """It puts the CPU to rest and the instance runs on, unless it powers off too (EC2 guide, "Change instance initiated
    shutdown behavior")."""
    assert booted(script) == at(when)


@pytest.mark.parametrize(
    "script, when",
    [
        ("sleep 3600 && shutdown -h now", "02T10:00"),
        ("sleep 1h 30m; poweroff", "02T10:30"),
        ("sleep 60\nsleep 60\nshutdown +1\n", "02T09:03"),
        ("(sleep 1h; shutdown -h now) &\nsleep 9d", "02T10:00"),
        ("nohup bash -c 'sleep 7200 && shutdown -h now' >/dev/null 2>&1 &", "02T11:00"),
        ("MINUTES=45\nshutdown -h +${MINUTES}", "02T09:45"),
        ("shutdown -h +$((2 * 60)) 'over'", "02T11:00"),
        ("apt-get install -y x && pip install y\nshutdown -h +10", "02T09:10"),
        (
            "cat > /opt/end.sh <<'EOF'\nsleep 5m\nshutdown -h now\nEOF\nchmod +x /opt/end.sh\n/opt/end.sh &",
            "02T09:05",
        ),
        ("exit 0\npoweroff", None),
        ("# shutdown now", None),
        ("echo shutdown now >> /var/log/plan", None),
    ],
)
def test_a_script_is_followed_through_its_sleeps(script: str, when: str | None) -> None:
    """One command after the other, beside each other with `&`, at the time that has passed by then (bash(1), sleep(1))."""
    assert booted(script) == at(when)


@pytest.mark.parametrize(
    "script",
    [
        f"while [ $(date +%s) -lt {DEADLINE} ]; do sleep 30; done\nshutdown -h now",
        f"until (( $(date +%s) >= {DEADLINE} )); do sleep 10; done; poweroff",
        f'while true; do\n  if [ "$(date +%s)" -ge {DEADLINE} ]; then\n    poweroff\n  fi\n  sleep 60\ndone',
        f"sleep $(( {DEADLINE} - $(date +%s) )) && poweroff",
        'END=$(date -u -d "2026-03-02 10:30:00 UTC" +%s)\nwhile [ "$(date +%s)" -lt "$END" ]; do sleep 5; done; poweroff',
        "i=0; while [ $i -lt 90 ]; do sleep 60; i=$((i+1)); done; poweroff",
    ],
)
def test_a_loop_over_the_time_ends_the_box_at_its_deadline(script: str) -> None:
    """A wait for an absolute time lasts until it comes (bash(1), date(1))."""
    assert booted(script) == NINE + 90 * MINUTE


@pytest.mark.parametrize(
    "script, when",
    [
        ('echo "shutdown -h now" | at now + 60 minutes', "02T10:00"),
        ("echo poweroff | sudo at 18:30", "02T18:30"),
        ("at now + 2 hours <<EOF\nshutdown -h now\nEOF", "02T11:00"),
        ("at -t 202603031015 <<< poweroff", "03T10:15"),
        ('(crontab -l 2>/dev/null; echo "30 18 * * * /sbin/shutdown -h now") | crontab -', "02T18:30"),
        ('echo "0 8 * * 2 root poweroff" > /etc/cron.d/end', "03T08:00"),
        ("systemd-run --on-active=3600 /sbin/poweroff", "02T10:00"),
        ("systemd-run --unit=end --on-active 1h30min -- shutdown -h now", "02T10:30"),
        ("systemd-run --on-boot=2h systemctl poweroff", "02T11:00"),
        ('systemd-run --on-calendar="2026-03-02 10:00:00 UTC" systemctl poweroff', "02T10:00"),
        ('systemd-run --on-calendar="*-*-* 18:30" poweroff', "02T18:30"),
        ("systemd-run --on-calendar=@1772447400 poweroff", "02T10:30"),
        ('systemd-run --on-calendar="2026-03-01 10:00:00 UTC" poweroff', None),
        ("systemd-run --unit=end --on-active=60 poweroff\nsystemctl stop end.timer", None),
        (TIMER_UNIT.format(more=""), "02T10:00"),
        (TIMER_UNIT.format(more="") + "systemctl disable --now end.timer", None),
        (TIMER_UNIT.format(more="OnBootSec=30min"), "02T09:30"),
    ],
)
def test_timers_of_at_cron_and_systemd_fire(script: str, when: str | None) -> None:
    """Once at a time or after one, or at the next of a calendar's; a past moment never comes (at(1), crontab(5),
    systemd-run(1), systemd.timer(5), systemd.time(7))."""
    assert booted(script) == at(when)


@pytest.mark.parametrize(
    "config, when",
    [
        ("power_state: {delay: '+30', mode: poweroff}", "02T09:30"),
        ("power_state: {delay: now, mode: poweroff}", "02T09:00"),
        ("power_state: {delay: 30, mode: halt}", None),
        ("power_state: {mode: poweroff, condition: false}", None),
        ("runcmd:\n- sleep 600\n- [shutdown, -h, '+5']", "02T09:15"),
        ("runcmd:\n- sleep 600\npower_state: {delay: '+5', mode: poweroff}", "02T09:15"),
        ("bootcmd:\n- shutdown -h +20", "02T09:20"),
        (
            "write_files:\n- path: /opt/end.sh\n  encoding: b64\n  content: "
            + base64.b64encode(b"sleep 60; poweroff").decode()
            + "\nruncmd:\n- bash /opt/end.sh",
            "02T09:01",
        ),
        (
            UNITS_BY_CLOUD_CONFIG,
            "02T11:00",
        ),
    ],
)
def test_cloud_config_runs_its_files_commands_and_power_state(config: str, when: str | None) -> None:
    """Files first, then commands, then the change of the power state (cloud-init, "Modules")."""
    assert booted(config, "#cloud-config\n") == at(when)


def test_user_data_may_be_mime_multipart_or_gzipped() -> None:
    """Each part counts by its content type (cloud-init, "User data formats")."""
    mixed = (
        MIME
        + "Content-Type: text/cloud-config\n\n#cloud-config\npower_state: {delay: '+90', mode: poweroff}\n"
        "--//\nContent-Type: text/x-shellscript\n\n#!/bin/bash\n{script}\n--//--\n"
    )
    assert booted(mixed.replace("{script}", "true"), "") == NINE + 90 * MINUTE
    assert booted(mixed.replace("{script}", "systemd-run --on-active=60 poweroff"), "") == NINE + MINUTE
    assert first_boot(gzip.compress(b"#!/bin/sh\npoweroff"), NINE).shutdown_at == NINE


@pytest.mark.parametrize(
    "script",
    [
        "python train.py\nshutdown -h now",
        "torchrun train.py && poweroff",
        "while pgrep -f train; do sleep 60; done\nshutdown -h now",
        "if nvidia-smi | grep -q 0%; then shutdown -h now; fi; [ -f /done ] && shutdown now",
        "trap 'shutdown -h now' EXIT",
        "for i in 1 2 3; do sleep 60; done; shutdown() { true; }",
        "shutdown -h +$(curl -s http://example.com)",
        'aws ec2 terminate-instances --instance-ids "$(curl http://169.254.169.254/latest/meta-data/instance-id)"',
        "shutdown 'no quote at the end",
    ],
)
def test_what_is_not_understood_ends_nothing_and_is_listed(script: str) -> None:
    """No end is made up from a command whose time or outcome only a real box knows; the truth tells which lines were left
    out."""
    boot = first_boot(f"#!/bin/bash\n{script}".encode(), NINE)
    assert boot.shutdown_at is None
    assert boot.ignored


@pytest.mark.parametrize("head", ["\n#!/bin/bash\n", "#!/usr/bin/python3\n", "<powershell>\n", "Hello\n"])
def test_user_data_that_cloud_init_can_not_run_ends_nothing(head: str) -> None:
    """A script starts with `#!` and an interpreter (EC2 guide, "Run commands when you launch an EC2 instance with user data
    input")."""
    assert booted("poweroff", head) is None


@pytest.mark.parametrize(
    "user_data",
    [
        "",
        "#!",
        "#cloud-config\n[",
        "#cloud-config\nruncmd: 5\nwrite_files: x",
        "#!/bin/sh\nbash /a",
        "\x1f\x8bno",
        "#!/bin/sh\ncat > /a <<E\nbash /a\nE\nbash /a",
        "#!/bin/sh\n(((((",
        "#!/bin/sh\nsleep 1e9d; at x <<< y",
    ],
)
def test_nonsense_boots_all_the_same(user_data: str) -> None:
    """Whatever user data says, the instance runs."""
    assert first_boot(user_data.encode("latin-1"), NINE).shutdown_at is None


@pytest.mark.parametrize("behaviour, then", [("terminate", "terminated"), ("stop", "stopped")])
def test_a_timer_fires_as_a_shutdown_from_inside(world: World, ec2: Any, behaviour: str, then: str) -> None:
    """An hour after the box runs, InstanceInitiatedShutdownBehavior decides, and no protection holds it (EC2 guide, "Change
    instance initiated shutdown behavior")."""
    box_id = run(
        ec2,
        "#!/bin/bash\nshutdown -h +60",
        InstanceInitiatedShutdownBehavior=behaviour,
        DisableApiTermination=True,
    )
    world.advance(MINUTE)
    row = world.row(box_id)
    running_since = datetime.fromisoformat(row["running_since"])
    assert datetime.fromisoformat(row["shutdown_at"]) == running_since + HOUR
    world.advance(HOUR - MINUTE)
    assert state(ec2, box_id) == "running"
    world.advance(2 * MINUTE)
    assert state(ec2, box_id) == then
    row = world.row(box_id)
    assert (row["shutdown_at"], row["ended_by"]) == (None, "guest-shutdown" if then == "terminated" else None)


def test_user_data_of_a_launch_template_runs_too(world: World, ec2: Any) -> None:
    """The template's user data, in base64, for RunInstances and for a fleet (botocore, RequestLaunchTemplateData.UserData)."""
    script = base64.b64encode(b"#!/bin/bash\nshutdown -h +30").decode()
    template = ec2.create_launch_template(
        LaunchTemplateName="ends-itself",
        LaunchTemplateData={
            "ImageId": IMAGE,
            "InstanceType": "g5.xlarge",
            "UserData": script,
            "InstanceInitiatedShutdownBehavior": "terminate",
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    ec2.run_instances(LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1)
    ec2.create_fleet(
        Type="instant",
        LaunchTemplateConfigs=[
            {"LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Default"}}
        ],
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
    )
    world.advance(29 * MINUTE)
    assert [box.state for box in world.boxes] == ["running", "running"]
    world.advance(3 * MINUTE)
    assert [box.state for box in world.boxes] == ["terminated", "terminated"]


def test_user_data_runs_at_the_first_start_only(world: World, ec2: Any) -> None:
    """After a stop and a start `shutdown +60` is neither pending any more nor run again (EC2 guide, "Run commands when you
    launch an EC2 instance with user data input": only at the first boot)."""
    box_id = run(ec2, "#!/bin/bash\nshutdown -h +60")
    world.advance(10 * MINUTE)
    ec2.stop_instances(InstanceIds=[box_id])
    world.advance(MINUTE)
    assert world.row(box_id)["shutdown_at"] is None
    ec2.start_instances(InstanceIds=[box_id])
    world.advance(DAY)
    assert state(ec2, box_id) == "running"


def test_a_reboot_forgets_what_was_in_memory(world: World, ec2: Any) -> None:
    """`shutdown +60` and transient timers are gone, and the instance runs on without a new bill (shutdown(8); EC2 guide,
    "Reboot your instance")."""
    box_id = run(ec2, "#!/bin/bash\nshutdown -h +60\nsystemd-run --on-active=2h poweroff")
    world.advance(MINUTE)
    since = world.row(box_id)["running_since"]
    ec2.reboot_instances(InstanceIds=[box_id])
    world.advance(DAY)
    assert (state(ec2, box_id), world.row(box_id)["running_since"]) == ("running", since)


def test_a_hibernated_instance_goes_on_where_it_was(world: World, ec2: Any) -> None:
    """Its memory is kept, so that `shutdown +60` is pending still and overdue when it comes back (EC2 guide, "Hibernate your
    Amazon EC2 instance")."""
    box_id = run(ec2, "#!/bin/bash\nshutdown -h +60", HibernationOptions={"Configured": True})
    world.advance(10 * MINUTE)
    ec2.stop_instances(InstanceIds=[box_id], Hibernate=True)
    world.advance(2 * HOUR)
    ec2.start_instances(InstanceIds=[box_id])
    world.advance(2 * MINUTE)
    assert state(ec2, box_id) == "stopped"


@pytest.mark.parametrize(
    "script, again",
    [
        ("shutdown -h +60", None),
        ("systemd-run --on-active=7200 poweroff", None),
        ('systemd-run --on-calendar="*-*-* 18:30" poweroff', None),
        (TIMER_UNIT.format(more="").replace("2026-03-02 10:00:00 UTC", "*-*-* 18:30"), "03T18:30"),
        (TIMER_UNIT.format(more=""), None),
        (TIMER_UNIT.format(more="Persistent=true"), "03T12:00"),
        ('echo "30 18 * * * poweroff" | crontab -', "03T18:30"),
        ('echo "@reboot sleep 600 && poweroff" | crontab -', "03T12:10"),
        ("echo poweroff | at 18:00", "03T12:00"),
        ("systemctl enable end.service", None),
    ],
)
def test_only_what_lies_on_the_disk_outlives_a_stop(script: str, again: str | None) -> None:
    """Started again a day later: transient timers are gone, enabled units, crontabs and jobs of `at` are not, and what was
    missed is made up for by `at` and by Persistent alone (systemd.timer(5), at(1))."""
    boot = first_boot(f"#!/bin/bash\n{script}".encode(), NINE)
    started = next_boot(boot.disk, NINE + DAY + 3 * HOUR, off_since=NINE + 10 * MINUTE)
    assert started.shutdown_at == at(again)


@pytest.mark.parametrize(
    "user_data",
    [
        "#cloud-config\nbootcmd:\n- shutdown -h +20",
        "#cloud-boothook\n#!/bin/sh\nshutdown -h +20",
        ALWAYS,
    ],
)
def test_some_user_data_runs_at_each_boot(user_data: str) -> None:
    """bootcmd, boothooks, and scripts with `[scripts-user, always]` (cloud-init, "Module frequency")."""
    boot = first_boot(user_data.encode(), NINE)
    assert boot.shutdown_at == NINE + 20 * MINUTE
    assert next_boot(boot.disk, NINE + DAY, NINE + HOUR).shutdown_at == NINE + DAY + 20 * MINUTE


def test_an_instance_that_replaces_another_runs_the_user_data_anew(world: World, ec2: Any) -> None:
    """The box that a persistent request starts after an end is a new instance, whose first boot it is (EC2 guide, "Run
    commands when you launch an EC2 instance with user data input")."""
    market = {
        "MarketType": "spot",
        "SpotOptions": {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"},
    }
    first = run(
        ec2,
        "#!/bin/bash\nshutdown -h +60",
        InstanceMarketOptions=market,
        InstanceInitiatedShutdownBehavior="terminate",
    )
    world.advance(HOUR + 5 * MINUTE)
    second = next(box for box in world.boxes if box.relaunch_of == first)
    assert second.state == "running"
    world.advance(HOUR)
    assert second.state == "terminated"


def test_a_persistent_request_is_disabled_by_a_timer_that_stops_its_box(world: World, ec2: Any) -> None:
    """An absolute deadline in UTC, behaviour `stop`: compute ends and nothing is started in its place (EC2 guide, "Manage your
    Spot Instances")."""
    market = {
        "MarketType": "spot",
        "SpotOptions": {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"},
    }
    script = '#!/bin/bash\nsystemd-run --on-calendar="2026-03-02 10:00:00 UTC" systemctl poweroff'
    box_id = run(ec2, script, InstanceMarketOptions=market, InstanceInitiatedShutdownBehavior="stop")
    world.advance(2 * HOUR)
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (state(ec2, box_id), request["State"]) == ("stopped", "disabled")
    assert len(list(world.boxes)) == 1


def test_the_truth_tells_when_a_box_will_end_itself_and_what_was_left_out(world: World, ec2: Any) -> None:
    """`shutdown_at` while it runs, and the lines that are not understood."""
    box_id = run(ec2, "#!/bin/bash\npython train.py\nshutdown -h now")
    plain = run(ec2)
    world.advance(MINUTE)
    row = world.row(box_id)
    assert (row["shutdown_at"], row["user_data_ignored"]) == (None, ["shutdown -h now"])
    assert (world.row(plain)["shutdown_at"], world.row(plain)["user_data_ignored"]) == (None, [])
