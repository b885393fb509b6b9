# SPDX-License-Identifier: Apache-2.0
"""sim.py A B: an oscillator, damped by A, of frequency B: what lies under its curve, and its highest point after the start."""
import json
import sys

import numpy as np

a, b = float(sys.argv[1]), float(sys.argv[2])
t = np.linspace(0, 20, 2001)
x = np.exp(-a * t) * np.cos(b * t)
print(json.dumps({"area": float(np.trapz(x, t)), "peak": float(x[1:].max())}))
