#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Three small networks as torch.onnx.export writes them: a CNN, an LSTM and a transformer encoder.

Each is written to NAME/model.onnx beside this script with one data set: a seeded input and PyTorch's output. Debian:
python3-torch. Parameters are seeded and not trained: what is tested is what the exporter makes of the layers.
"""
import io
import pathlib
import sys

import onnx
import torch
from onnx import numpy_helper
from torch import nn


class Cnn(nn.Module):
    """What image networks consist of: convolutions of all kinds, normalization, pools, a residual, a resize."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(12, 12, 5, padding=2, groups=12), nn.SiLU(), nn.Conv2d(12, 12, 1))
        self.down = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 16, 3, padding=2, dilation=2))
        self.up = nn.ConvTranspose2d(16, 12, 2, stride=2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))

    def forward(self, image):
        x = self.stem(image)
        x = x + self.depthwise(x)
        y = nn.functional.gelu(self.up(self.down(x)))
        y = nn.functional.interpolate(y, scale_factor=2.0, mode="nearest")
        y = nn.functional.avg_pool2d(y, 2)
        return torch.log_softmax(self.head(torch.cat([x, y], dim=1)), dim=1)


class Lstm(nn.Module):
    """Token ids through an embedding, two bidirectional LSTM layers and a GRU; the mean over time is classified."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 20, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(40, 24, batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, tokens):
        x, (hidden, _) = self.lstm(self.embedding(tokens))
        x, _ = self.gru(x)
        return self.head(x.mean(dim=1)), hidden


class Encoder(nn.Module):
    """Embeddings, two layers of nn.TransformerEncoderLayer, one before and one after normalization, a padding mask."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(60, 32)
        self.position = nn.Parameter(torch.randn(1, 12, 32) * 0.1)
        self.first = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.second = nn.TransformerEncoderLayer(32, 4, 64, activation="relu", batch_first=True)
        self.norm = nn.LayerNorm(32)

    def forward(self, tokens):
        padding = tokens == 0
        x = self.embedding(tokens) + self.position
        x = self.first(x, src_key_padding_mask=padding)
        x = self.second(x, src_key_padding_mask=padding)
        return self.norm(x)


def export(folder, model, example, inputs, outputs, opset, dynamic):
    # In evaluation mode PyTorch 1.13 replaces encoder layers by one fused operator that ONNX does not have, unless gradients
    # are wanted; nothing here drops or updates, so that training mode only differs in that.
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.train()
            for part in module.modules():
                if isinstance(part, nn.Dropout):
                    part.p = 0.0
            module.self_attn.dropout = 0.0
    with torch.no_grad():
        expected = model(example)
    expected = expected if isinstance(expected, tuple) else (expected,)
    buffer = io.BytesIO()
    torch.onnx.export(model, (example,), buffer, input_names=inputs, output_names=outputs, opset_version=opset,
                      training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes=dynamic, do_constant_folding=True)
    graph = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(graph)
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(buffer.getvalue())
    for name, tensors, names in (("input", (example,), inputs), ("output", expected, outputs)):
        for i, tensor in enumerate(tensors):
            proto = numpy_helper.from_array(tensor.detach().numpy(), names[i])
            (data / f"{name}_{i}.pb").write_bytes(proto.SerializeToString())


def main():
    here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    here = here if here.is_dir() else here.parent
    torch.manual_seed(7)
    export(here / "torch_cnn", Cnn(), torch.randn(2, 3, 32, 32), ["image"], ["scores"], 14,
           {"image": {0: "N"}, "scores": {0: "N"}})
    export(here / "torch_lstm", Lstm(), torch.randint(0, 50, (3, 9)), ["tokens"], ["scores", "hidden"], 13, None)
    tokens = torch.randint(1, 60, (2, 12))
    tokens[1, 8:] = 0
    export(here / "torch_encoder", Encoder(), tokens, ["tokens"], ["states"], 16, {"tokens": {0: "N"}})


if __name__ == "__main__":
    main()
