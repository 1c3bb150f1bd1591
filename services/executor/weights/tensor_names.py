"""The names under which checkpoints hold a decoder's tensors: with `model.` before them, without, or wrapped."""

from collections.abc import Container, Iterable

from xylem.shared.model_info.model_error import ModelError

BASE = "model."  # of the decoder within a model with a head
HEAD = "lm_head.weight"

# Put before names by what a model was wrapped in when it was saved: DataParallel, torch.compile, FSDP.
WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")


def standard_name(name: str, known: Container[str]) -> str:
    """Returns the name by which `known` has the tensor, or the name without wrappers if it has none.

    A model that was saved without its head, as embedding models are, has names without `model.`; transformers adds or
    takes it off, tensor by tensor, and so does this.
    """
    while name.startswith(WRAPPERS):
        name = name.split(".", 1)[1]
    if name in known:
        return name
    if BASE + name in known:
        return BASE + name
    shorter = name.removeprefix(BASE)
    return shorter if shorter in known else name


def by_standard_name(names: Iterable[str], known: Container[str]) -> dict[str, str]:
    """Returns the file's name of each tensor by its standard one. Raises ModelError when two have the same."""
    found: dict[str, str] = {}
    for name in names:
        standard = standard_name(name, known)
        if standard in found:
            raise ModelError(f"the tensors {found[standard]} and {name} are one and the same of the model")
        found[standard] = name
    return found
