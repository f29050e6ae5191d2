"""Run llama.cpp's own HTTP server on 127.0.0.1 until stdin is closed. Started by peer.py, with the peer's Python.

usage: peer_server.py MODEL PORT N_THREADS N_CTX [N_SLOTS]
Needs the wheel `xllamacpp` and nothing of Kruk. Batch sizes and cache reuse are those that llama.vim recommends.
"""

import os
import signal
import sys

import xllamacpp

signal.signal(signal.SIGINT, signal.SIG_IGN)  # the benchmark hears Ctrl-C, and closes our stdin
model = sys.argv[1]
port, n_threads, n_ctx, n_slots = map(int, [*sys.argv[2:], 1][:4])

params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames = ["127.0.0.1"]
params.port = port
params.n_parallel = n_slots
params.n_ctx = n_ctx * n_slots
params.n_gpu_layers = 0
params.n_batch = params.n_ubatch = 1024
params.n_cache_reuse = 256
params.cache_ram_mib = 0  # no copies of earlier prompts: every document is new here
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = n_threads
params.verbosity = 0
params.ui = False

server = xllamacpp.Server(params)
print(xllamacpp.__version__, flush=True)
sys.stdin.buffer.read()
os._exit(0)  # without a second for the server's threads: nothing of it is to be kept
