"""Networks of torch.nn as people build them, small: a Llama, a vision transformer, experts."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn


def rows(*shape: int, **options: Any) -> torch.Tensor:
    """Return numbers to put into a network, by chance."""
    return torch.randn(*shape, **options)


class RootMeanSquare(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, shared: int) -> None:
        super().__init__()
        self.head_width, self.is_shared = width // heads, shared != heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, shared * self.head_width, bias=False)
        self.v = nn.Linear(width, shared * self.head_width, bias=False)
        self.o = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, tokens, _ = x.shape
        q, k, v = (
            linear(x).view(rows, tokens, -1, self.head_width).transpose(1, 2)
            for linear in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.is_shared)
        return self.o(y.transpose(1, 2).reshape(rows, tokens, -1))


class LlamaLayer(nn.Module):
    def __init__(self, width: int, heads: int, shared: int, inner: int) -> None:
        super().__init__()
        self.before, self.between = RootMeanSquare(width), RootMeanSquare(width)
        self.attention = Attention(width, heads, shared)
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.before(x))
        y = self.between(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    """Llama's layers, of sizes that tests take in no time; those of 7 billion are its own."""

    def __init__(
        self, words: int = 640, width: int = 128, heads: int = 8, shared: int = 2,
        inner: int = 384, layers: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.layers = nn.ModuleList(LlamaLayer(width, heads, shared, inner) for _ in range(layers))
        self.norm = RootMeanSquare(width)
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.embed(words)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class VisionTransformer(nn.Module):
    """Patches by a convolution, encoder layers of torch.nn, and a head on the mean."""

    def __init__(self, width: int = 96, layers: int = 2, classes: int = 10) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        self.position = nn.Parameter(torch.zeros(1, 16, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2) + self.position
        return self.head(self.encoder(x).mean(1))


class Scores(nn.Module):
    """Attention whose products are written out, with batches of them and an added mask."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(q.shape[-2], k.shape[-2], dtype=q.dtype).expand(len(q), -1, -1)
        scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=0.125)
        return torch.bmm(scores.softmax(-1), v)
