#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the digits network and write everything that lies beside this script.

    train_digits.py [--out DIR] [--epochs N] [--seed S]

Data: the UCI "Optical Recognition of Handwritten Digits" test set as scikit-learn packages it: 1797 grey images of 8x8,
values 0..16.  A stratified 360 of them are held back and never seen by the training.

Written to DIR (default: this folder):
    digits.onnx                     input image [N,1,8,8] float 0..1, output logits [N,10]; BatchNormalization not folded
    test_images.npy test_labels.npy the held-back samples: float32 [360,1,8,8], int64 [360]
    calib_images.npy                64 training samples for int8 calibration: float32 [64,1,8,8]
    test_data_set_0/                one batch of 1 in the ONNX backend test form, expected output by PyTorch
    accuracy.txt                    the held-back accuracy in fp32

Needs python3-torch, python3-sklearn and python3-onnx.  One thread and fixed seeds: the same package versions on the same
processor type give the same file.
"""
import argparse
import os

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

TEST_SAMPLES = 360
CALIB_SAMPLES = 64
MIN_ACCURACY = 0.98


def conv_bn(cin, cout, kernel, groups=1):
	return nn.Sequential(
		nn.Conv2d(cin, cout, kernel, padding=kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout))


class Digits(nn.Module):
	"""Stem, one residual block, pool, one depthwise-separable layer, global pool, Gemm: each common path once."""

	def __init__(self, width=32):
		super().__init__()
		self.stem = conv_bn(1, width, 3)
		self.branch_a = conv_bn(width, width, 3)
		self.branch_b = conv_bn(width, width, 3)
		self.depthwise = conv_bn(width, width, 3, groups=width)
		self.pointwise = conv_bn(width, 2 * width, 1)
		self.relu = nn.ReLU()
		self.pool = nn.MaxPool2d(2)
		self.average = nn.AdaptiveAvgPool2d(1)
		self.classify = nn.Linear(2 * width, 10)

	def forward(self, image):
		x = self.relu(self.stem(image))
		x = self.relu(x + self.branch_b(self.relu(self.branch_a(x))))
		x = self.pool(x)
		x = self.relu(self.depthwise(x))
		x = self.relu(self.pointwise(x))
		return self.classify(torch.flatten(self.average(x), 1))


def load(seed):
	digits = load_digits()
	images = (digits.images.astype(np.float32) / np.float32(16))[:, None]
	labels = digits.target.astype(np.int64)
	return train_test_split(images, labels, test_size=TEST_SAMPLES, stratify=labels, random_state=seed)


def train(model, images, labels, epochs):
	images, labels = torch.from_numpy(images), torch.from_numpy(labels)
	optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
	batch = 64
	steps = (len(labels) + batch - 1) // batch
	schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * steps)
	loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
	model.train()
	for epoch in range(epochs):
		order = torch.randperm(len(labels))
		total = 0.0
		for i in range(0, len(order), batch):
			pick = order[i:i + batch]
			optimizer.zero_grad()
			loss = loss_of(model(images[pick]), labels[pick])
			loss.backward()
			optimizer.step()
			schedule.step()
			total += loss.item() * len(pick)
		print(f"epoch {epoch + 1:3} loss {total / len(order):.4f}")
	model.eval()


def predict(model, images):
	with torch.no_grad():
		return model(torch.from_numpy(images)).numpy()


def export(model, path):
	# PRESERVE keeps the BatchNormalization nodes; the exporter would fold them into the Convs otherwise.
	torch.onnx.export(
		model, torch.zeros(1, 1, 8, 8), path, opset_version=13, training=torch.onnx.TrainingMode.PRESERVE,
		do_constant_folding=False, input_names=["image"], output_names=["logits"],
		dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
	onnx.checker.check_model(onnx.load(path))


def write_data_set(folder, image, logits):
	os.makedirs(folder, exist_ok=True)
	for name, stem, array in (("image", "input_0", image), ("logits", "output_0", logits)):
		with open(os.path.join(folder, stem + ".pb"), "wb") as f:
			f.write(numpy_helper.from_array(array, name).SerializeToString())


def main():
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
	parser.add_argument("--epochs", type=int, default=40)
	parser.add_argument("--seed", type=int, default=1)
	args = parser.parse_args()

	torch.manual_seed(args.seed)
	torch.set_num_threads(1)
	torch.use_deterministic_algorithms(True)

	train_images, test_images, train_labels, test_labels = load(args.seed)
	model = Digits()
	train(model, train_images, train_labels, args.epochs)
	right = int((predict(model, test_images).argmax(1) == test_labels).sum())
	accuracy = right / len(test_labels)
	print(f"held-back accuracy {right}/{len(test_labels)} = {accuracy:.4f}")
	if accuracy < MIN_ACCURACY:
		raise SystemExit(f"accuracy {accuracy:.4f} is below {MIN_ACCURACY}: nothing written")

	os.makedirs(args.out, exist_ok=True)
	export(model, os.path.join(args.out, "digits.onnx"))
	np.save(os.path.join(args.out, "test_images.npy"), test_images)
	np.save(os.path.join(args.out, "test_labels.npy"), test_labels)
	np.save(os.path.join(args.out, "calib_images.npy"), train_images[:CALIB_SAMPLES])
	write_data_set(os.path.join(args.out, "test_data_set_0"), test_images[:1], predict(model, test_images[:1]))
	with open(os.path.join(args.out, "accuracy.txt"), "w") as f:
		f.write(f"{right} {len(test_labels)}\n")


if __name__ == "__main__":
	main()
