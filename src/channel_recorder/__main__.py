"""`python -m channel_recorder` is the command `channel-recorder`."""

import sys

from channel_recorder.cli import main

if __name__ == "__main__":
    sys.exit(main())
