"""The peer of `cargo xtask bench sign`: model_signing verifies a model, best of some rounds; seconds as JSON.

    python sign_peer.py FOLDER SIGNATURE PUBLIC.pem ROUNDS
"""

import json
import pathlib
import sys
import time

from model_signing import verifying

folder, signature, public = (pathlib.Path(word) for word in sys.argv[1:4])
seconds = []
for _ in range(int(sys.argv[4])):
    start = time.perf_counter()
    verifying.Config().use_elliptic_key_verifier(public_key=public).verify(folder, signature)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"verify_seconds": min(seconds)}))
