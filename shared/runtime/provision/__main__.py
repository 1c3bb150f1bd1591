"""`python -m xylem.shared.runtime.provision [make] [--anew]`, or `... show api-key`."""

import argparse
import sys
from pathlib import Path

from xylem.shared.runtime.provision.holders import OPERATOR
from xylem.shared.runtime.provision.write import ProvisionError, provision


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, or nothing to do; 1 failed."""
    parser = argparse.ArgumentParser(
        prog="python -m xylem.shared.runtime.provision", description="The secrets of a deployment."
    )
    parser.add_argument("--folder", type=Path, default=Path("/secrets"), help="where each holder has a folder")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make them, once")
    make.add_argument("--nats-host", default="nats", help="the server's name in its certificate and URL")
    make.add_argument("--anew", action="store_true", help="replace those that are there; restart everything then")
    show = commands.add_parser("show", help="print one of the operator's")
    show.add_argument("name", choices=("api-key", "admin-key", "nats-url", "ca.crt"))
    options = parser.parse_args(arguments)
    try:
        if options.command == "show":
            sys.stdout.write((options.folder / OPERATOR / options.name).read_text(encoding="utf-8").strip() + "\n")
        else:
            made = provision(options.folder, options.nats_host, anew=options.anew)
            sys.stdout.write("secrets were made\n" if made else "secrets are there\n")
    except (OSError, ProvisionError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
