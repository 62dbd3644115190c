"""Makes an ONNX classifier for a folder of pictures: `python own_folder_teacher.py FOLDER FILE.onnx`."""

import sys

import torch
from torch import nn

import alambic
from alambic.deploy.export import export_onnx
from alambic.training.feed import Normalise

source = alambic.load_source(alambic.DataSpec(sys.argv[1], size=24))
images = Normalise(source.mean, source.std)(source.images[source.splits["train"]].float() / 255)
labels = source.labels[source.splits["train"]]
net = alambic.create_student("resnet8_w16", source.channels, source.size, source.num_classes)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for _ in range(20):
    for rows in torch.randperm(len(images)).split(64):
        nn.functional.cross_entropy(net(images[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
print(export_onnx(net.eval(), (source.channels, *source.size), sys.argv[2]).path)
