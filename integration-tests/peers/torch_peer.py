"""PyTorch and LIME on the very same weights and images: what `cargo xtask measure performance` is compared with.

    cargo xtask measure performance -- --peer "python integration-tests/peers/torch_peer.py"

`measure` adds `--artifacts FOLDER --teacher teachers/ID`. Needs torch, numpy, safetensors, scikit-image and lime
(0.2.0.1). Speaks in lines:

    says    ready <digest of the weights> <images of its quickest batch>
    hears   explain <example>                       says    <milliseconds>
    hears   classify <batch size> <example> ...     says    <milliseconds> <logit> ...   (image by image)

where an example is `train-123`: split and index of the data set. Everything is f32 and eager, as PyTorch comes.
What PyTorch leaves open (memory layout, images a batch) is tried at the start, and the quickest is taken. LIME keeps
its own defaults (quickshift, 1,000 samples, batches of 10, 5 labels, gray images made RGB by itself) unless an option
says otherwise. Standard error tells what was chosen.
"""

import argparse
import os
import pathlib
import sys
import time

# LIME draws progress bars; they would only cost time. Read when tqdm is imported.
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy
import torch
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm
from safetensors.torch import load_file
from torch import nn

SAMPLES = 1_000
BATCHES = (10, 25, 50, 100, 125, 250, 500)
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
TRIAL_IMAGES = 500


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
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = torch.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu_(y.add_(x if self.downsample is None else self.downsample(x)))


class Normalization(nn.Module):
    """The gray levels that the teacher was trained with; they are stored with its weights."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.ones(channels, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.deviation


class Resnet50(nn.Module):
    """[image, channel, row, column] in [0, 1] -> [image, label]."""

    def __init__(self, channels, labels):
        super().__init__()
        self.normalization = Normalization(channels)
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
        x = self.pool(torch.relu_(self.bn1(self.conv1(self.normalization(x)))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def load(artifacts, teacher):
    """The network with all of its stored tensors, its shape [channel, row, column] and its digest."""
    folder = artifacts / "models" / teacher
    facts = dict(line.split(" ", 1) for line in (folder / "final").read_text().splitlines() if " " in line)
    assert facts["architecture"] == "resnet50", f"{teacher} is a {facts['architecture']}, this peer knows resnet50"
    shape = tuple(int(side) for side in facts["shape"].split())
    network = Resnet50(shape[0], int(facts["labels"]))
    stored = load_file(folder / f"final-{facts['digest']}.safetensors")
    missing, unknown = network.load_state_dict(stored, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert not missing and not unknown, f"missing {missing}, unknown {unknown}"
    return network.eval(), shape, facts["digest"]


class Peer:
    def __init__(self, artifacts, teacher, segmentation, lime_batch):
        self.network, self.shape, self.digest = load(artifacts, teacher)
        self.segmentation = segmentation
        self.splits = {
            file.stem: numpy.fromfile(file, dtype=numpy.uint8).reshape(-1, *self.shape)
            for file in (artifacts / "datasets" / "mnist").glob("*.images")
        }
        images = next(iter(self.splits.values()))[:TRIAL_IMAGES]
        self.use(self.quickest("layout", LAYOUTS, lambda name: (self.use(name), self.classify(images, 125))))
        self.batch = self.quickest("images a batch", BATCHES, lambda size: self.classify(images, size))
        self.lime_batch = lime_batch or self.batch

    def use(self, layout):
        self.layout = LAYOUTS[layout]
        self.network.to(memory_format=self.layout)

    def quickest(self, what, choices, run):
        """The choice whose best of three runs is the shortest. They take turns."""
        best = dict.fromkeys(choices, float("inf"))
        for _ in range(3):
            for choice in choices:
                start = time.perf_counter()
                run(choice)
                best[choice] = min(best[choice], time.perf_counter() - start)
        rates = ", ".join(f"{choice}: {TRIAL_IMAGES / seconds:.0f}" for choice, seconds in best.items())
        chosen = min(best, key=best.get)
        print(f"peer: {what} {chosen} (images a second by {what}: {rates})", file=sys.stderr)
        return chosen

    @torch.inference_mode()
    def logits(self, unit_pixels, batch):
        """[image, channel, row, column] f32 in [0, 1] -> [image, label] f32."""
        parts = torch.from_numpy(unit_pixels).split(batch)
        return torch.cat([self.network(part.contiguous(memory_format=self.layout)) for part in parts])

    def classify(self, images, batch):
        """[image, channel, row, column] bytes -> [image, label] f32."""
        return self.logits(images.astype(numpy.float32) / 255, batch).numpy()

    def probabilities(self, rgb):
        """What LIME asks: [image, row, column, 3] in [0, 1], three times the same gray -> [image, label]."""
        gray = numpy.ascontiguousarray(rgb[..., : self.shape[0]].transpose(0, 3, 1, 2), dtype=numpy.float32)
        return torch.softmax(self.logits(gray, len(gray)), 1).numpy()

    def explain(self, image):
        """LIME's explanation of [channel, row, column] bytes. A gray image is handed over as it is."""
        gray = image[0].astype(numpy.float64) / 255
        explainer = LimeImageExplainer(random_state=0)
        return explainer.explain_instance(
            gray,
            self.probabilities,
            num_samples=SAMPLES,
            batch_size=self.lime_batch,
            segmentation_fn=self.segmentation,
        )

    def example(self, name):
        split, index = name.rsplit("-", 1)
        return self.splits[split][int(index)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--artifacts", type=pathlib.Path, required=True, help="the system's folder of artifacts")
    parser.add_argument("--teacher", required=True, help="teachers/ID, a ResNet-50")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: as many as there are")
    parser.add_argument(
        "--small-segments",
        action="store_true",
        help="quickshift with a kernel for small images; LIME's own default finds few segments on 28x28",
    )
    parser.add_argument(
        "--lime-batch",
        type=int,
        default=10,
        help="images a batch in LIME, 0 for the quickest; default: 10, as LIME comes",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Answers have the real standard output to themselves.
    answers, sys.stdout = sys.stdout, sys.stderr

    segmentation = None
    if options.small_segments:
        segmentation = SegmentationAlgorithm("quickshift", kernel_size=1, max_dist=20, ratio=0.2)
    peer = Peer(options.artifacts, options.teacher, segmentation, options.lime_batch)
    print(f"peer: torch {torch.__version__}, {torch.get_num_threads()} threads", file=sys.stderr)
    warm_up = peer.explain(next(iter(peer.splits.values()))[0])
    print(f"peer: LIME asks for {peer.lime_batch} images a batch", file=sys.stderr)
    print(f"peer: LIME sees {len(numpy.unique(warm_up.segments))} segments in the first image", file=sys.stderr)

    print("ready", peer.digest, peer.batch, file=answers, flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "explain":
            image = peer.example(arguments[0])
            start = time.perf_counter()
            peer.explain(image)
            print(f"{1e3 * (time.perf_counter() - start):.3f}", file=answers, flush=True)
        elif command == "classify":
            batch, images = int(arguments[0]), numpy.stack([peer.example(name) for name in arguments[1:]])
            start = time.perf_counter()
            logits = peer.classify(images, batch)
            milliseconds = 1e3 * (time.perf_counter() - start)
            print(f"{milliseconds:.3f}", *(f"{logit:.6g}" for logit in logits.ravel()), file=answers, flush=True)
        else:
            raise ValueError(f"{command} is not known")


if __name__ == "__main__":
    main()
