import torch
from torch import Tensor

from xylem.kernels.reference.heads import rotate
from xylem.kernels.reference.norm import rms_norm


def write_latent(
    query: Tensor,
    latent: Tensor,
    keys: Tensor,
    slots: Tensor,
    *,
    norm: Tensor,
    epsilon: float,
    rotation: tuple[Tensor, Tensor],
) -> Tensor:
    """Shapes: see interface.py."""
    compressed, key = latent.unsqueeze(1).tensor_split([len(norm)], dim=-1)
    key = torch.cat((rms_norm(compressed, norm, epsilon), rotate(key, *rotation)), dim=-1)
    keys.index_copy_(0, slots, key)
    return rotate(query, *rotation)
