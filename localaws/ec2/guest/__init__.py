"""What a box's operating system does about ending itself: user data and a boot in, times of shutdown out. Pure.

`first_boot` runs user data the way cloud-init does, once for an instance; `next_boot` is any later start, of which only
what lies on the disk is left: files, enabled units, crontabs, jobs of `at`, and what cloud-init runs at each boot.
Both answer a `Boot`: when it will be shut down, the disk to boot from next, and the lines that would end the box and
were not understood. The box's clock is UTC. Nothing else of the box is played: a command that is not named here takes
no time and succeeds; one that works (python, torchrun, docker run, ./anything) takes nobody knows how long, so that
what its script does afterwards is not understood.

Understood:

- user data: shell scripts, cloud-config, boothooks, MIME multipart of these, as text or gzipped.
- cloud-config: write_files, runcmd, bootcmd (each boot), power_state, `[scripts-user, always]`.
- `shutdown` with -h, -P, -c, `now`, `+m`, `hh:mm`; `poweroff`, `halt -p`, `init 0`, `systemctl poweroff`. A plain
  `halt` ends nothing: it puts the CPU to rest, and EC2 bills on.
- `sleep`, `;`, `&&`, `||`, `&`, subshells, variables, `$((…))`, `$(date …)`, `if`, `while` and `until` over times and
  numbers, here-documents, `bash -c`, scripts that were written before, and sudo, nohup and the like before a command.
- `at`, crontabs, `systemd-run` with --on-active, --on-boot and --on-calendar, and units with OnBootSec, OnActiveSec,
  OnCalendar, Persistent and ExecStart once `systemctl` has started or enabled them.

Sources: EC2 guide, "Change instance initiated shutdown behavior" (halt is no shutdown) and "Run commands when you
launch an EC2 instance with user data input"; the manuals of cloud-init (modules, user data formats), shutdown(8),
systemd.timer(5), systemd.time(7), systemd-run(1), at(1) and crontab(5).
"""

from localaws.ec2.guest.cloudinit import first_boot, next_boot, with_timer_moved
from localaws.ec2.guest.machine import Boot, Disk, Timer

__all__ = ["Boot", "Disk", "Timer", "first_boot", "next_boot", "with_timer_moved"]
