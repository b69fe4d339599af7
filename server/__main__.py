"""The program `sessions-api`."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    # What is imported stays, and the collector would look through all of it again and again.
    gc.disable()
    from server import cli  # noqa: PLC0415 - after that

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
