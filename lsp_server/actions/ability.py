"""Whether the loaded model can do what it is told; a base model only goes on with a text."""

from __future__ import annotations

from lsp_server.model.base import ModelInfo
from lsp_server.model.catalogue import DEFAULT_MODEL, load_catalogue


def why_not(info: ModelInfo | None) -> str:
    """Why a model cannot run actions, and which one to pull; "" when it can, or when none is loaded yet."""
    if info is None or info.is_instruct:
        return ""
    return (
        f"`{info.name}` is a base model, which follows no instructions. "
        f"Run `kruk models pull {_instruct_model(info.name)}`, and choose it as `kruk.chatModel`."
    )


def _instruct_model(name: str) -> str:
    """Id of the instruct model of the same family that is nearest in size, else the default one's."""
    catalogue = load_catalogue()
    own = catalogue.model(name.partition(":")[0])
    models = [model for model in catalogue.models if own and model.family == own.family and model.kind == "instruct"]
    nearest = min(models, key=lambda model: abs(model.params_b - own.params_b) if own else 0.0, default=None)
    return nearest.id if nearest else DEFAULT_MODEL
