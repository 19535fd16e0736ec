# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0
#
# The same as tree.c in Python. Each level goes through a function of the interpreter's library, so that there are
# frames of C for it: calls from Python to Python have none of their own.
import sys
import time

DEPTH = 8


def leaf(x):
    for _ in range(500):
        x = (x * 6364136223846793005 + 1) & 0xFFFFFFFF
    return x


def descend(depth, x):
    if depth == 0:
        return leaf(x)
    return max((depth - 1,), key=lambda next: descend(next, x))


seconds = float(sys.argv[1])
work = 0
while time.process_time() < seconds:
    descend(DEPTH, work)
    work += 1
print(f"{time.process_time():f} {work}", flush=True)
sys.stdin.read()
