# SPDX-License-Identifier: Apache-2.0
"""arrays.py: digests of what numpy and its BLAS compute, for comparing processors. Each line: what, digest."""
import hashlib

import numpy as np


def tell(what, *arrays):
    print(what, hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in arrays)).hexdigest()[:16])


x = np.arange(1, 20001) * 0.000737
few = x.astype(np.float32)
for f in np.sin, np.cos, np.exp, np.log, np.tanh, np.cbrt, np.expm1:
    tell(f.__name__, f(x), f(few))
tell("power", x ** 1.7, few ** np.float32(1.7))
tell("sum", x.sum(), few.sum(), x.mean(), x.var())
a = np.sin(np.arange(64 * 64)).reshape(64, 64)
tell("dgemm", a @ a.T, a @ x[:64], x @ x)
tell("sgemm", a.astype(np.float32) @ a.T.astype(np.float32))
tell("solve", np.linalg.solve(a + 64 * np.eye(64), x[:64]))
tell("svd", np.linalg.svd(a[:32, :32])[1])
tell("fft", np.fft.fft(x[:4096]))
tell("random", np.random.default_rng(7).normal(size=1000))
