# SPDX-License-Identifier: MIT OR Apache-2.0
# Sleeps 5 ms again and again from /tmp/reading's making until /tmp/stop exists, above all other
# processes, and prints by how many microseconds the worst sleep was too long.
import os
import time

os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
worst = 0
open("/tmp/reading", "w").close()
while not os.path.exists("/tmp/stop"):
    begin = time.monotonic_ns()
    time.sleep(0.005)
    worst = max(worst, time.monotonic_ns() - begin - 5_000_000)
print(worst // 1000)
