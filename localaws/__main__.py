"""The command line: `python -m localaws serve` and `python -m localaws demo`, with make or without."""

import sys

from localaws.machine import complaint

if __name__ == "__main__":
    trouble = complaint(sys.argv[1:])
    if trouble:
        print(trouble, file=sys.stderr)
        sys.exit(2)
    # Only now: everything from here on is written for a Python that is new enough, with its packages.
    from localaws.command import main

    try:
        status = main()
    except KeyboardInterrupt:  # while it still starts, or in the demo
        status = 130
    sys.exit(status)
