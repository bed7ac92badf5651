"""LIME on the very same weights, in PyTorch f32: the peer of `cargo xtask measure performance -- --peer "..."`.

    python lime_peer.py --weights <...>/models/teachers/<id>/final-<digest>.safetensors --mnist <folder> [--threads N]

Needs torch, numpy, safetensors, scikit-image and lime (0.2.0.1). Prints "ready", then reads one line per image,
`train-123` (split and index of MNIST), and answers with the milliseconds that an explanation with 1,000 samples took.
"""

import argparse
import sys
import time

import numpy
import torch
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm
from safetensors.torch import load_file
from torch import nn

MEAN, DEVIATION = 0.1307, 0.3081
SAMPLES = 1_000
BATCH = 100


def convolution(inputs, outputs, kernel, stride):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """torchvision's bottleneck, with its names."""

    def __init__(self, inputs, inner, stride):
        super().__init__()
        outputs = 4 * inner
        self.conv1, self.bn1 = convolution(inputs, inner, 1, 1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = convolution(inner, inner, 3, stride), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = convolution(inner, outputs, 1, 1), nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride != 1:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Resnet50(nn.Module):
    def __init__(self, channels=1, labels=10):
        super().__init__()
        self.conv1, self.bn1 = convolution(channels, 64, 7, 2), nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, (count, inner, stride) in enumerate([(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)], 1):
            blocks = []
            for index in range(count):
                blocks.append(Block(inputs, inner, stride if index == 0 else 1))
                inputs = 4 * inner
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, labels)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def images(folder, split):
    data = numpy.fromfile(f"{folder}/{split}-images-idx3-ubyte", dtype=numpy.uint8)
    return data[16:].reshape(-1, 28, 28)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    parser.add_argument("--mnist", required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    network = Resnet50().eval()
    stored = load_file(options.weights)
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in stored and not name.endswith("num_batches_tracked")]
    assert not missing, f"the weights lack {missing[:5]}"
    network.load_state_dict({name: stored.get(name, value).to(value.dtype) for name, value in wanted.items()})
    network = network.to(memory_format=torch.channels_last)
    splits = {split: images(options.mnist, split) for split in ("train", "t10k")}

    @torch.inference_mode()
    def probabilities(batch):
        """LIME's images are RGB in [0, 1]: all three channels are the gray one."""
        gray = torch.from_numpy(numpy.ascontiguousarray(batch[..., :1], dtype=numpy.float32)).permute(0, 3, 1, 2)
        gray = ((gray - MEAN) / DEVIATION).contiguous(memory_format=torch.channels_last)
        return torch.softmax(network(gray), 1).numpy()

    segments = SegmentationAlgorithm("quickshift", kernel_size=1, max_dist=20, ratio=0.2)

    def explain(image):
        rgb = numpy.repeat(image[..., None].astype(numpy.float64) / 255.0, 3, axis=2)
        LimeImageExplainer(random_state=0).explain_instance(
            rgb, probabilities, top_labels=2, hide_color=0, num_samples=SAMPLES, batch_size=BATCH, segmentation_fn=segments
        )

    # LIME draws a progress bar; standard output is for answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    explain(splits["train"][0])
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        split, index = line.strip().rsplit("-", 1)
        start = time.perf_counter()
        explain(splits[split][int(index)])
        print(f"{1e3 * (time.perf_counter() - start):.3f}", file=answers, flush=True)


if __name__ == "__main__":
    main()
