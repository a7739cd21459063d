# Train on two pods:  argosy train examples/train_ddp.py --nodes 2      (alone: python examples/train_ddp.py)
"""A letter-by-letter language model in plain PyTorch, data-parallel over as many pods as there are.

- nothing in here knows where it runs: RANK, WORLD_SIZE, MASTER_ADDR come from the operator, from torchrun, or not at all
- the text is Python's own language reference, so there is nothing to download
- gloo on CPUs, NCCL on GPUs; each rank draws its own windows of the text
- with CHECKPOINT_DIR set, rank 0 saves every 50 steps and a restarted job goes on from there
"""

import argparse
import os
import time
from pathlib import Path
from pydoc_data.topics import topics

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--batch", type=int, default=32, help="windows a step, over all ranks")
parser.add_argument("--length", type=int, default=64, help="letters a window")
parser.add_argument("--width", type=int, default=96)
parser.add_argument("--lr", type=float, default=3e-3)
args = parser.parse_args()

# who am I
world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if world > 1:
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.manual_seed(1)  # the same weights everywhere

# data
text = "\n\n".join(topics[name] for name in sorted(topics))
letters = sorted(set(text))
data = torch.tensor([letters.index(letter) for letter in text])
train, held_out = data[: -len(data) // 10], data[-len(data) // 10 :]


def windows(source, count, generator):
    starts = torch.randint(len(source) - args.length - 1, (count,), generator=generator)
    return torch.stack([source[start : start + args.length + 1] for start in starts]).to(device)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.letter, self.place = nn.Embedding(len(letters), args.width), nn.Embedding(args.length, args.width)
        layer = nn.TransformerEncoderLayer(
            args.width, 4, 4 * args.width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 3, nn.LayerNorm(args.width), enable_nested_tensor=False)
        self.out = nn.Linear(args.width, len(letters))

    def forward(self, x):
        causal = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        h = self.letter(x) + self.place(torch.arange(x.shape[1], device=x.device))
        return self.out(self.body(h, mask=causal, is_causal=True))


def loss_on(model, rows):
    return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


model = Model().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

# go on where an earlier life stopped
folder = Path(os.environ["CHECKPOINT_DIR"]) if os.environ.get("CHECKPOINT_DIR") else None
first = 0
if folder and (folder / "last.pt").exists():
    state = torch.load(folder / "last.pt", map_location=device)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    first = state["step"]
    print(f"rank {rank}: going on from step {first}", flush=True)

# train
ddp = DistributedDataParallel(model) if world > 1 else model
began = time.time()
for step in range(first + 1, args.steps + 1):
    generator = torch.Generator().manual_seed(step * world + rank)
    loss = loss_on(ddp, windows(train, args.batch // world, generator))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if rank == 0 and step % 10 == 0:
        print(f"step={step} loss={loss.item():.3f} steps/s={(step - first) / (time.time() - began):.1f}", flush=True)
    if rank == 0 and folder and step % 50 == 0:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, folder / "new.pt")
        (folder / "new.pt").replace(folder / "last.pt")  # a reader never meets half of one

# how good is it
if rank == 0:
    model.eval()
    with torch.no_grad():
        loss = loss_on(model, windows(held_out, 128, torch.Generator().manual_seed(0))).item()
    shares = torch.bincount(held_out, minlength=len(letters)) / len(held_out)
    entropy = -(shares[shares > 0] * shares[shares > 0].log()).sum().item()
    print(f"held_out_loss={loss:.3f} letter_entropy={entropy:.3f}", flush=True)
if world > 1:
    dist.destroy_process_group()
