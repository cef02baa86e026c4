"""`python -m channel_recorder.cli` is the command `channel-recorder`."""

import sys

from channel_recorder.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
