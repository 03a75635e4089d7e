#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Samples of which a float classifier is sure, and images for other networks, without a data set:

    make_samples.py MODEL --out DIR [--source photos|digits|patterns] [--count 200] [--calibration 32] [--seed 1]

photos:   crops of the photographs that scipy and scikit-learn carry (a raccoon, a palace, a flower), in several sizes, mirrored
digits:   scikit-learn's handwritten digits, enlarged to 20 by 20 in the middle of a 28 by 28 image of 0..255
patterns: smooth random fields of -2.5..2.5

Of a classifier (--classes) a sample that is not sure enough is moved along the gradient of its own largest class (what the network
sees in a photograph already becomes clearer), a pattern along that of a class drawn for it, until its probability passes a level
drawn from 0.5 to 0.95: not all of them are easy. Digits are taken as they are. Writes samples.npy, labels.npy (the float network's classes) and calibration.npy, made the same way from other
crops. Needs python3-torch, -onnx, -scipy, -sklearn.
"""
import argparse
import os
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as functional
from onnx import numpy_helper

warnings.filterwarnings("ignore", category=DeprecationWarning)
STEPS = 200  # of a climb; a sample that is not sure then is left out


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def padded(x, attr, value):
    kernel, stride = attr["kernel_shape"], attr.get("strides", [1, 1])
    pads = list(attr.get("pads", [0, 0, 0, 0]))
    auto = attr.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        for i in range(2):
            size = x.shape[2 + i]
            total = max((-(-size // stride[i]) - 1) * stride[i] + kernel[i] - size, 0)
            small, large = total // 2, total - total // 2
            pads[i], pads[2 + i] = (small, large) if auto == b"SAME_UPPER" else (large, small)
    elif auto not in (b"NOTSET", b"VALID"):
        sys.exit(f"auto_pad {auto}")
    if attr.get("ceil_mode"):
        for i in range(2):
            over = (x.shape[2 + i] + pads[i] + pads[2 + i] - kernel[i]) % stride[i]
            pads[2 + i] += stride[i] - over if over else 0
    return functional.pad(x, (pads[1], pads[3], pads[0], pads[2]), value=value) if any(pads) else x


def conv(attr, x, w, b=None):
    attr.setdefault("kernel_shape", list(w.shape[2:]))
    x = padded(x, attr, 0)
    return functional.conv2d(x, w, b, attr.get("strides", 1), 0, attr.get("dilations", 1), attr.get("group", 1))


def max_pool(attr, x):
    return functional.max_pool2d(padded(x, attr, -1e30), attr["kernel_shape"], attr.get("strides", 1))


def average_pool(attr, x):
    ones = padded(torch.ones_like(x), attr, 1.0 if attr.get("count_include_pad") else 0.0)
    kernel, stride = attr["kernel_shape"], attr.get("strides", 1)
    return functional.avg_pool2d(padded(x, attr, 0), kernel, stride) / functional.avg_pool2d(ones, kernel, stride)


def softmax(attr, x):
    axis = attr.get("axis", attr["default_axis"])
    if attr["default_axis"] == -1:
        return torch.softmax(x, axis)
    return torch.softmax(x.flatten(axis), -1).reshape(x.shape)


OPERATORS = {
    "Add": lambda attr, a, b: a + b,
    "AveragePool": average_pool,
    "Concat": lambda attr, *parts: torch.cat(parts, attr["axis"]),
    "Conv": conv,
    "Dropout": lambda attr, x, *rest: x,
    "GlobalAveragePool": lambda attr, x: x.mean((2, 3), keepdim=True),
    "MatMul": lambda attr, a, b: a @ b,
    "MaxPool": max_pool,
    "Relu": lambda attr, x: torch.relu(x),
    "Reshape": lambda attr, x, shape: x.reshape([x.shape[i] if n == 0 else int(n) for i, n in enumerate(shape.tolist())]),
    "Softmax": softmax,
    "Transpose": lambda attr, x: x.permute(attr["perm"]),
}


class Network:
    """A float ONNX classifier in PyTorch, for its gradients: the few operators that the real networks have."""

    def __init__(self, path):
        model = onnx.load(path)
        graph = model.graph
        self.constants = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        self.input = next(i for i in graph.input if i.name not in self.constants)
        self.shape = [d.dim_value or 1 for d in self.input.type.tensor_type.shape.dim]
        self.output = graph.output[0].name
        self.opset = next(o.version for o in model.opset_import if o.domain == "")
        self.nodes = graph.node
        self.has_softmax = any(n.op_type == "Softmax" and self.output in n.output for n in graph.node)

    def log_probabilities(self, x):
        values = dict(self.constants)
        values[self.input.name] = x
        for node in self.nodes:
            if node.op_type not in OPERATORS:
                sys.exit(f"{node.op_type}: there is no gradient of it here")
            attr = attributes(node)
            attr["default_axis"] = -1 if self.opset >= 13 else 1
            last = node.op_type == "Softmax" and self.output in node.output
            inputs = [values[name] for name in node.input if name]
            # The logarithm of what is almost 0 has no gradient: scores go on as they are.
            values[node.output[0]] = inputs[0] if last else OPERATORS[node.op_type](attr, *inputs)
        return torch.log_softmax(values[self.output].flatten(), 0)


def photographs():
    from scipy import misc
    from sklearn.datasets import load_sample_images

    return [misc.face()] + list(load_sample_images().images)


def crop(photo, random, size):
    """A square of at least 2/5 of the photograph's height, mirrored or not, [3, size, size] of 0..1."""
    height, width = photo.shape[:2]
    side = int(height * random.uniform(0.4, 1))
    top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
    part = torch.from_numpy(photo[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None].float() / 255
    part = functional.interpolate(part, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    return part.flip(2) if random.integers(2) else part


def photo_source(arguments, shape, random):
    photos = photographs()

    def draw():
        image = crop(photos[random.integers(len(photos))], random, tuple(shape[2:])).numpy()
        if arguments.range in ("bytes", "caffe"):
            mean = np.float32([104, 117, 123] if arguments.range == "caffe" else [0, 0, 0])
            image = image[::-1] * 255 - mean[:, None, None]
        if shape[1] == 1:
            image = image.mean(0, keepdims=True)
        return image[None].astype(np.float32)

    return draw


def digit_source(arguments, shape, random):
    from sklearn.datasets import load_digits

    images = random.permutation(load_digits().images)
    at = iter(range(len(images)))

    def draw():
        small = torch.from_numpy(images[next(at)])[None, None].float() / 16 * 255
        large = functional.interpolate(small, size=(20, 20), mode="bicubic", align_corners=False).clamp(0, 255)
        return functional.pad(large, (4, 4, 4, 4)).numpy()

    return draw


def pattern_source(arguments, shape, random):
    side = int(np.ceil(np.sqrt(np.prod(shape))))

    def draw():
        coarse = torch.from_numpy(random.uniform(-2.5, 2.5, (1, 1, 8, 8)).astype(np.float32))
        field = functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False).flatten()
        return field[: int(np.prod(shape))].reshape(shape).numpy()

    return draw


SOURCES = {"photos": photo_source, "digits": digit_source, "patterns": pattern_source}


def climb(network, start, level, kind):
    """@start moved until class @kind, None: its largest one, has probability @level: (input, class), or None"""
    x = torch.from_numpy(start.copy())
    step = 0.01 * float(x.std())
    for _ in range(STEPS):
        x.requires_grad_(True)
        log_p = network.log_probabilities(x)
        aim = int(log_p.argmax()) if kind is None else kind % len(log_p)
        if float(log_p[aim]) >= np.log(level):
            return x.detach().numpy(), aim
        log_p[aim].backward()
        gradient = x.grad
        x = (x + step * gradient / (gradient.pow(2).mean().sqrt() + 1e-20)).detach()
        x = x.clamp(float(start.min()), float(start.max()))
    return None


def make(arguments, network, draw, random, count):
    samples, labels, moved = [], [], 0
    for _ in range(4 * count):
        start = draw()
        if not arguments.classes:
            found = start, 0
        elif arguments.source == "digits":  # real ones: as they are, or not at all
            log_p = network.log_probabilities(torch.from_numpy(start)).detach()
            found = (start, int(log_p.argmax())) if float(log_p.max()) >= np.log(0.5) else None
        else:
            kind = int(random.integers(1 << 30)) if arguments.source == "patterns" else None
            found = climb(network, start, random.uniform(0.5, 0.95), kind)
        if found:
            samples.append(found[0])
            labels.append(found[1])
            moved += not np.array_equal(found[0], start)
        if len(samples) == count:
            return np.concatenate(samples), np.array(labels, np.int64), moved
    sys.exit(f"only {len(samples)} of {count} samples are sure")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--out", required=True)
    parser.add_argument("--source", choices=SOURCES, default="photos")
    parser.add_argument("--range", choices=["unit", "bytes", "caffe"], default="unit",
                        help="numbers of a photograph: 0..1 (RGB), 0..255 (BGR), or those less the mean colour")
    parser.add_argument("--classes", action="store_true", help="a classifier, of which sure samples are wanted")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--calibration", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    random = np.random.default_rng(arguments.seed)
    network = Network(arguments.model)
    draw = SOURCES[arguments.source](arguments, network.shape, random)
    calibration, _, _ = make(arguments, network, draw, random, arguments.calibration)
    samples, labels, moved = make(arguments, network, draw, random, arguments.count)
    os.makedirs(arguments.out, exist_ok=True)
    np.save(f"{arguments.out}/calibration.npy", calibration)
    np.save(f"{arguments.out}/samples.npy", samples)
    if arguments.classes:
        np.save(f"{arguments.out}/labels.npy", labels)
        print(f"{len(samples)} samples of {len(set(labels.tolist()))} classes, {moved} of them moved by the gradient")


if __name__ == "__main__":
    main()
