"""`python -m keras_basisprune.cli` is `keras-basisprune`."""

import sys

from keras_basisprune.cli.main import main

sys.exit(main())
