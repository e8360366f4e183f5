"""`python -m vocctl`, and the `vocctl` command."""

import sys


def main() -> None:
    from vocctl.cli.app import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
