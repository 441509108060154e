"""Print how many seconds qmrpy, which its environment has, takes: ``peer_qmrpy.py signal.npy TIMES``."""

import json
import sys
import time

import numpy as np
from qmrpy.models.t1rho import T1Rho

signal = np.load(sys.argv[1])
model = T1Rho(tsl_ms=np.array(json.loads(sys.argv[2])))
mask = np.ones(signal.shape[:1], dtype=bool)
model.fit_image(signal[:10], mask=mask[:10], n_jobs=1)
start = time.perf_counter()
model.fit_image(signal, mask=mask, n_jobs=1)
print(time.perf_counter() - start)
