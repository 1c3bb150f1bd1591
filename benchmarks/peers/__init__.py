"""Others that serve the same weights, each a file that runs in an environment of its own (environments.py makes it).

A file says what it needs installed (REQUIREMENTS) and in which forms it has the weights (VARIANTS, the first being
bfloat16 or its nearest), and runs as `python -m benchmarks.peers.NAME`; protocol.py says what it is told and answers.
Only the standard library is imported before `main`, because bench_peers reads these files too.
"""

PEERS = ("openvino", "llama_cpp", "llama_server", "transformers")
