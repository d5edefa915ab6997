"""A key-value cache that grows in place: one more token costs a write, not a copy of all that came before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def growing_cache(config: PreTrainedConfig) -> Any:
    """A transformers `DynamicCache` whose layers of full attention keep room to grow.

    Its attribute `may_have_holes` says whether columns may be hidden from some rows for good: a window of attention
    counts columns, so a model with one must be read anew instead.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer

    cache: Any = DynamicCache(config=config)
    cache.may_have_holes = all(type(layer) is DynamicLayer for layer in cache.layers)
    if cache.may_have_holes:
        layer = _growing_layer()
        cache.layers = [layer() for _ in cache.layers]
    return cache


def _growing_layer() -> type:
    import torch
    from transformers.cache_utils import DynamicLayer

    class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """`keys` and `values` [rows, heads, tokens, width] are views of buffers with room for more tokens."""

        room: tuple[torch.Tensor, torch.Tensor] | None = None

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            if self.keys is None or self.values is None:
                self.device, self.is_initialized = key_states.device, True
                self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
            length = self.keys.shape[2]
            end = length + key_states.shape[2]
            if self.room is None or self.room[0].shape[2] < end:
                self.room = (_grown(self.keys, key_states, end), _grown(self.values, value_states, end))
            keys, values = self.room
            keys[:, :, length:end], values[:, :, length:end] = key_states, value_states
            self.keys, self.values = keys[:, :, :end], values[:, :, :end]
            return self.keys, self.values

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            super().batch_select_indices(indices)
            self.room = None

    def _grown(old: torch.Tensor, new: torch.Tensor, end: int) -> torch.Tensor:
        rows, heads, _, width = new.shape
        room = new.new_zeros(rows, heads, max(64, end + end // 4), width)
        room[:, :, : old.shape[2]] = old
        return room

    return GrowingLayer
