#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What 8 bits cost the trained networks: on the device, against the float network on the CPU backend, on samples that calibration has
not seen (tests/models/make_samples.py makes both; it says from what).

    quantization.py BUILD MODELS [NAME…]         MODELS: a folder with mnist/model.onnx and so on

Classifiers: in how many of the samples of which fp32 is sure (its largest class has at least one half) int8 has the same class; below
99 % the exit code is 1. Others: signal to noise over all outputs, and that of the worst one. For each: --precision int8 (direct) and the
QDQ file that accel quantize writes, with --target-loss where TARGET_LOSS (of the environment) says so. SAMPLES (of the environment) is a
folder to keep the samples in and to find them in.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSIFIERS = {
    "micro_kws_fp32": ["--source", "patterns"],
    "mnist": ["--source", "digits"],
    "squeezenet": ["--source", "photos", "--range", "caffe"],
}
IMAGES = {
    "super_resolution": ["--range", "unit"],
    "yunet": ["--range", "bytes"],
}
IMAGE_SAMPLES = 8


def command(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stdout}")
    return done.stdout


def samples(model, name, options, folder):
    """The folder with the samples of a network, made where there are none."""
    folder = os.path.join(folder, name)
    if not os.path.exists(os.path.join(folder, "samples.npy")):
        command("/usr/bin/python3", os.path.join(HERE, "..", "models", "make_samples.py"), model, "--out", folder, *options)
    return folder


def classes(accel, folder, *options):
    """How many samples have the float network's class."""
    report = os.path.join(folder, "run.json")
    command(accel, "run", *options, "--samples", f"{folder}/samples.npy", "--labels", f"{folder}/labels.npy", "--json", report, "--quiet")
    with open(report) as file:
        run = json.load(file)
    return run["right"], run["samples"]


def outputs(accel, package, folder, index, *options):
    with tempfile.TemporaryDirectory() as saved:
        command(accel, "run", package, "--input", f"{folder['input']}={folder['path']}/sample_{index}.npy", "--save", saved, "--quiet", *options)
        return [np.load(f"{saved}/output_{i}.npy").astype(np.float64) for i in range(len(os.listdir(saved)))]


def decibels(signal, noise):
    return 10 * np.log10(signal / noise) if noise > 0 else np.inf


def signal_to_noise(accel, float_model, package, folder, *options):
    """Of all outputs together, and of the worst one, over the samples."""
    signal, noise = 0, 0
    for index in range(IMAGE_SAMPLES):
        exact = outputs(accel, float_model, folder, index, "--device", "cpu")
        got = outputs(accel, package, folder, index, *options)
        signal = signal + np.array([(x**2).sum() for x in exact])
        noise = noise + np.array([((x - y) ** 2).sum() for x, y in zip(exact, got)])
    worst = min(decibels(s, n) for s, n in zip(signal, noise))
    return decibels(signal.sum(), noise.sum()), worst


def input_name(model):
    import onnx

    graph = onnx.load(model).graph
    constants = {t.name for t in graph.initializer}
    return next(i.name for i in graph.input if i.name not in constants)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    target = ["--target-loss", os.environ["TARGET_LOSS"]] if "TARGET_LOSS" in os.environ else []
    accel, models, names = os.path.join(sys.argv[1], "accel"), sys.argv[2], sys.argv[3:]
    bad = False
    with tempfile.TemporaryDirectory() as work:
        kept = os.environ.get("SAMPLES", work)
        print(f"{'network':<18} {'samples':>7} {'direct':>16} {'QDQ file':>16}  {'layers in int8':>14}")
        for name, options in {**CLASSIFIERS, **IMAGES}.items():
            if names and name not in names:
                continue
            model, qdq, report = f"{models}/{name}/model.onnx", f"{work}/q.onnx", f"{work}/q.json"
            if name in CLASSIFIERS:
                options = [*options, "--classes", "--calibration", "100"]
            else:
                options = [*options, "--source", "photos", "--count", str(IMAGE_SAMPLES), "--calibration", "16"]
            folder = samples(model, name, options, kept)
            calibration = ["--calibration", f"{folder}/calibration.npy"]
            command(accel, "quantize", model, *calibration, *target, "--json", report, "-o", qdq, "--quiet")
            with open(report) as file:
                layers = json.load(file)
            if name in CLASSIFIERS:
                direct, count = classes(accel, folder, model, "--precision", "int8", *calibration)
                file_right, _ = classes(accel, folder, qdq, "--precision", "fp16")
                bad |= min(direct, file_right) < 0.99 * count
                figures = f"{100 * direct / count:14.1f} % {100 * file_right / count:14.1f} %"
            else:
                count, rows = IMAGE_SAMPLES, np.load(f"{folder}/samples.npy")
                for i in range(count):
                    np.save(f"{folder}/sample_{i}.npy", rows[i : i + 1])
                place = {"path": folder, "input": input_name(model)}
                package = f"{work}/direct.axm"
                command(accel, "compile", model, "--precision", "int8", *calibration, "-o", package)
                figures = "".join(
                    f"{db:7.1f} ({worst:4.1f}) dB"
                    for db, worst in (
                        signal_to_noise(accel, model, package, place),
                        signal_to_noise(accel, model, qdq, place, "--precision", "fp16"),
                    )
                )
            print(f"{name:<18} {count:>7} {figures}  {layers['integer']:>7} of {len(layers['layers'])}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
