#!/usr/bin/env python
"""Django's command line for Sequin Console."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sequin_console.settings")
    if sys.argv[1:2] == ["up"]:  # data folder and ports are chosen before the settings read them
        from sequin_console.up import ground

        ground.take(sys.argv[2:])
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
