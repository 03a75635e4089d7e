#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train a depthwise-separable network on the digits and write it beside this script.

    train_depthwise.py [--out DIR] [--epochs N] [--seed S]

Data, training and held-back samples are those of ../digits/train_digits.py; the images lie there.

Written to DIR (default: this folder):
    digits_depthwise.onnx           input image [N,1,8,8] float 0..1, output logits [N,10]; BatchNormalization not folded
    accuracy.txt                    the held-back accuracy in fp32
"""
import argparse
import os
import sys

import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "digits"))
import train_digits as digits


class Depthwise(nn.Module):
	"""Stem, four depthwise-separable layers (one of them with stride 2), global pool, Gemm; Relu everywhere."""

	def __init__(self, width=24):
		super().__init__()
		layers = [digits.conv_bn(1, width, 3), nn.ReLU()]
		for cin, cout, stride in ((1, 1, 1), (1, 2, 2), (2, 2, 1), (2, 3, 1)):
			depthwise = digits.conv_bn(width * cin, width * cin, 3, groups=width * cin)
			depthwise[0].stride = (stride, stride)
			layers += [depthwise, nn.ReLU(), digits.conv_bn(width * cin, width * cout, 1), nn.ReLU()]
		self.layers = nn.Sequential(*layers)
		self.average = nn.AdaptiveAvgPool2d(1)
		self.classify = nn.Linear(3 * width, 10)

	def forward(self, image):
		return self.classify(torch.flatten(self.average(self.layers(image)), 1))


def main():
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
	parser.add_argument("--epochs", type=int, default=40)
	parser.add_argument("--seed", type=int, default=1)
	args = parser.parse_args()

	torch.manual_seed(args.seed)
	torch.set_num_threads(1)
	torch.use_deterministic_algorithms(True)

	train_images, test_images, train_labels, test_labels = digits.load(args.seed)
	model = Depthwise()
	digits.train(model, train_images, train_labels, args.epochs)
	right = int((digits.predict(model, test_images).argmax(1) == test_labels).sum())
	accuracy = right / len(test_labels)
	print(f"held-back accuracy {right}/{len(test_labels)} = {accuracy:.4f}")
	if accuracy < digits.MIN_ACCURACY:
		raise SystemExit(f"accuracy {accuracy:.4f} is below {digits.MIN_ACCURACY}: nothing written")
	os.makedirs(args.out, exist_ok=True)
	digits.export(model, os.path.join(args.out, "digits_depthwise.onnx"))
	with open(os.path.join(args.out, "accuracy.txt"), "w") as f:
		f.write(f"{right} {len(test_labels)}\n")


if __name__ == "__main__":
	main()
