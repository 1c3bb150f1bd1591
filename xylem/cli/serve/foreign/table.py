"""The flags of other systems, in rows. docs/migrating.md is made from them."""

from xylem.cli.serve.foreign.flag import ForeignFlag, Kind, System

S, V, B, L = System.SGLANG, System.VLLM, System.BOTH, System.LLAMA_CPP


def _mapped(names: str, system: System, to: str, *, template: str = "{}", **values: str) -> ForeignFlag:
    return ForeignFlag(tuple(names.split()), system, Kind.MAPPED, to=to, values=values, template=template)


def _switch(names: str, system: System, to: str, value: str) -> ForeignFlag:
    return ForeignFlag(tuple(names.split()), system, Kind.MAPPED, is_switch=True, to=to, template=value)


def _ignored(names: str, system: System, why: str, *, is_switch: bool = False) -> ForeignFlag:
    return ForeignFlag(tuple(names.split()), system, Kind.IGNORED, is_switch=is_switch, why=why)


def _refused(
    names: str,
    system: System,
    why: str,
    *,
    is_switch: bool = False,
    is_secret: bool = False,
    harmless: tuple[str, ...] = (),
) -> ForeignFlag:
    return ForeignFlag(
        tuple(names.split()),
        system,
        Kind.REFUSED,
        is_switch=is_switch,
        is_secret=is_secret,
        harmless=harmless,
        why=why,
    )


ONE_GPU = "a model runs on one device here; for more requests start more executors with --replicas executor=N"
ADAPTERS = "adapters (LoRA) are not served"
DRAFTS = "there is no speculative decoding; answers are the same without"
ONE_HOST = "services on several machines share a NATS server: --nats-url, see docs/operations.md"
POOLS = "prefill and decode run in the same executor"
CHOSEN = "--kernels chooses the kernels of a device, and `auto` the fastest that it has"
FOLDER = "the tokenizer and its chat template are read from the model's folder; put the file there"
PARSED = "tool calls are parsed whenever a request brings tools"
STEPS = "--token-budget bounds the tokens of a step"
MEASURED = "metrics are always at /metrics, and usage is in every answer"
TRACED = "--log-level sets what is logged; each request is a trace, see --otlp-endpoint"
LOGGED = "requests are not logged one by one; each is a trace, see --otlp-endpoint"

FOREIGN_FLAGS: tuple[ForeignFlag, ...] = (
    # The model.
    _mapped("model-path", S, "model"),
    _mapped("m", L, "model"),
    _mapped("served-model-name alias a", B, "served-name"),
    _mapped("max-model-len ctx-size c", V, "context-length"),
    _mapped("json-model-override-args hf-overrides", B, "model-overrides"),
    _mapped("rope-scaling", V, "model-overrides", template='{{"rope_scaling": {}}}'),
    _mapped("rope-theta", V, "model-overrides", template='{{"rope_theta": {}}}'),
    _refused("tokenizer-path tokenizer", B, FOLDER),
    _refused("chat-template", B, FOLDER),
    _refused(
        "chat-template-content-format completion-template",
        B,
        "templates see both, text and parts, as they ask for",
        harmless=("auto", "string", "openai"),
    ),
    _refused("revision code-revision tokenizer-revision", B, "give the folder of that revision: --model PATH"),
    _refused("load-format", B, "safetensors are read", harmless=("auto", "safetensors", "sharded_state")),
    _refused("skip-tokenizer-init", B, "token ids can be sent and asked for in every request", is_switch=True),
    _ignored("trust-remote-code", B, "code in a model's folder is never run", is_switch=True),
    _ignored("tokenizer-mode", B, "the fast tokenizer is used"),
    _ignored("is-embedding", S, "every model gives embeddings, at /v1/embeddings", is_switch=True),
    _ignored("task runner convert", V, "a model answers whatever endpoint is asked"),
    _refused(
        "generation-config", V, "generation_config.json of the model's folder gives the defaults", harmless=("auto",)
    ),
    _refused("hf-token", B, "set HF_TOKEN in the environment: other processes see flags", is_secret=True),
    _refused("download-dir", B, "set HF_HOME in the environment"),
    # Memory and batches.
    _mapped("mem-fraction-static gpu-memory-utilization", B, "memory-fraction"),
    _mapped("kv-cache-memory-bytes", V, "kv-bytes"),
    _mapped("num-gpu-blocks-override", V, "kv-pages"),
    _mapped("block-size", V, "page-size"),
    _mapped("max-running-requests max-num-seqs parallel np", B, "max-running"),
    _mapped("max-queued-requests", S, "max-waiting"),
    _mapped("chunked-prefill-size max-num-batched-tokens batch-size b", B, "token-budget"),
    _ignored("max-prefill-tokens max-num-partial-prefills ubatch-size ub", B, STEPS),
    _refused("max-total-tokens", S, "--kv-pages N sets the pool, in pages of --page-size tokens"),
    _refused("kv-cache-dtype", B, "KV is kept in the type of the model", harmless=("auto",)),
    _refused("cpu-offload-gb", B, "weights stay on their device", harmless=("0",)),
    _ignored("swap-space schedule-conservativeness num-scheduler-steps stream-interval", B, "nothing here needs it"),
    _ignored("max-logprobs", V, "up to 20 log probabilities are given, as at OpenAI"),
    _ignored(
        "enable-mixed-chunk enable-chunked-prefill",
        B,
        "prompts are always read in chunks beside running ones",
        is_switch=True,
    ),
    _ignored("no-enable-chunked-prefill disable-chunked-prefill", V, STEPS, is_switch=True),
    # Scheduling and the prefix cache.
    _mapped("schedule-policy", S, "queue-policy", lpm="prefix", fcfs="fifo"),
    _mapped("scheduling-policy", V, "queue-policy", fcfs="fifo"),
    _switch("disable-radix-cache no-enable-prefix-caching", B, "prefix-cache", "off"),
    _ignored("enable-prefix-caching", V, "prefixes are cached unless --prefix-cache off is given", is_switch=True),
    _ignored(
        "enable-cache-report enable-metrics enable-prompt-tokens-details show-time-cost", B, MEASURED, is_switch=True
    ),
    # Kernels and devices.
    _ignored("attention-backend sampling-backend prefill-attention-backend decode-attention-backend", B, CHOSEN),
    _ignored("grammar-backend guided-decoding-backend structured-outputs-config", B, "grammars have one compiler"),
    _ignored("cuda-graph-max-bs cuda-graph-bs compilation-config", B, "CUDA graphs are captured up to --max-running"),
    _ignored(
        "disable-cuda-graph enforce-eager enable-torch-compile disable-overlap-schedule flash-attn fa mlock no-mmap "
        "disable-custom-all-reduce enable-p2p-check",
        B,
        CHOSEN,
        is_switch=True,
    ),
    _mapped(
        "n-gpu-layers ngl gpu-layers",
        L,
        "device",
        **{"0": "cpu", "-1": "auto", "99": "auto", "999": "auto", "all": "auto"},
    ),
    # More than one device or machine.
    _refused(
        "tp tp-size tensor-parallel-size pp-size pipeline-parallel-size ep-size expert-parallel-size dcp-size",
        B,
        ONE_GPU,
        harmless=("1",),
    ),
    _mapped("dp dp-size data-parallel-size", B, "replicas", template="executor={}"),
    _mapped("tokenizer-worker-num", S, "replicas", template="tokenizer={}"),
    _mapped("api-server-count", V, "replicas", template="gateway={}"),
    _refused(
        "nnodes node-rank dist-init-addr nccl-port distributed-executor-backend",
        B,
        ONE_HOST,
        harmless=("1", "0", "mp", "uni"),
    ),
    _refused(
        "disaggregation-mode disaggregation-transfer-backend disaggregation-bootstrap-port kv-transfer-config",
        B,
        POOLS,
        harmless=("null", "none"),
    ),
    _refused("enable-expert-parallel enable-ep-moe enable-dp-attention", B, ONE_GPU, is_switch=True),
    # Adapters and drafts.
    _refused("lora-paths lora-modules lora-backend max-lora-rank max-loras max-loras-per-batch", B, ADAPTERS),
    _refused("enable-lora", B, ADAPTERS, is_switch=True),
    _ignored(
        "speculative-algorithm speculative-draft-model-path speculative-num-steps speculative-eagle-topk "
        "speculative-num-draft-tokens speculative-config speculative-model num-speculative-tokens",
        B,
        DRAFTS,
    ),
    # Clients.
    _refused(
        "api-key",
        B,
        "keys stand in a file: --api-keys-file, see docs/security.md; other processes see flags",
        is_secret=True,
    ),
    _mapped("ssl-certfile ssl-cert-file", B, "tls-cert-file"),
    _mapped("ssl-keyfile ssl-key-file", B, "tls-key-file"),
    _refused("ssl-ca-certs ssl-cert-reqs", B, "clients show an API key, not a certificate"),
    _refused("allowed-origins", V, "give --allow-origin once for each origin, or '*' for all"),
    _refused("allowed-methods allowed-headers", V, "--allow-origin allows all that the API has", harmless=('["*"]',)),
    _refused("root-path", V, "let the proxy in front take the prefix off"),
    _mapped("otlp-traces-endpoint", B, "otlp-endpoint"),
    _ignored("uvicorn-log-level log-level-http", B, TRACED),
    _ignored(
        "log-requests disable-log-requests enable-log-requests no-enable-log-requests disable-log-stats "
        "disable-uvicorn-access-log log-request-headers enable-request-logging",
        B,
        LOGGED,
        is_switch=True,
    ),
    _ignored("log-requests-level max-log-len collect-detailed-traces decode-log-interval", B, LOGGED),
    _ignored("enable-auto-tool-choice jinja", V, PARSED, is_switch=True),
    _ignored("watchdog-timeout crash-dump-folder", S, "a process that dies is started again, and its requests go on"),
    _refused("random-seed seed", B, "give `seed` in a request: the same seed gives the same answer", harmless=("0",)),
    _ignored("limit-mm-per-prompt mm-processor-kwargs", V, "models here see text only"),
)
