"""`python -m minipixel` is the command `minipixel`."""

import sys

from minipixel.cli import main

sys.exit(main())
