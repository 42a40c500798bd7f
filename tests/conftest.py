"""One thread for every test and every process that a test starts.

Sums come out in another order with another number of threads, and exact tests compare processes.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported anywhere
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # a real window: QT_QPA_PLATFORM=xcb

import torch

torch.set_num_threads(1)
