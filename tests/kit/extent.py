"""How much of the long tests a run has: samples, as `make test` does, or with WHOLE=1 all, as `make test-all`.

A sample reaches each kind of thing once; which of them it takes is the same in every run.
"""

import os

WHOLE = os.environ.get("WHOLE") == "1"
