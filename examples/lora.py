# Teach a model on the claim `models` about a module:  argosy train examples/lora.py --claim models -- --model /data/base
"""LoRA fine-tuning in forty lines of peft: ask a model about one module of Python's library and have it learn the answers.

- the base model stays as it is; the adapter (some hundred kB) lies beside it and is served under a name of its own
- the loss is counted on the answers only; one question in eight is kept back to tell whether it learned
"""

import argparse
import importlib
import inspect
import os
import pkgutil

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True, help="a directory, or a name on the Hugging Face hub")
parser.add_argument("--module", default="unittest")
parser.add_argument("--out", help="default: adapters/MODULE below the model")
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--lr", type=float, default=3e-3)
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.manual_seed(1)


def pairs(name):
    """(question, answer) for everything public in a module and its parts."""
    module = importlib.import_module(name)
    modules = [module] + [
        importlib.import_module(f"{name}.{part.name}")
        for part in pkgutil.iter_modules(getattr(module, "__path__", []))
        if not part.name.startswith("_")
    ]
    for owner in modules:
        for label, thing in inspect.getmembers(owner, lambda x: inspect.isclass(x) or inspect.isfunction(x)):
            members = inspect.getmembers(thing, inspect.isfunction) if inspect.isclass(thing) else []
            for title, documented in [(label, thing), *((f"{label}.{n}", f) for n, f in members)]:
                answer = (documented.__doc__ or "").strip().split("\n\n")[0]
                if (
                    answer
                    and not title.split(".")[-1].startswith("_")
                    and (documented.__module__ or "").startswith(name)
                ):
                    yield f"What does {name}.{title} do?", " ".join(answer.split())


tokenizer = AutoTokenizer.from_pretrained(args.model)
model = get_peft_model(
    AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32),
    LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
)
model.print_trainable_parameters()


def encode(question, answer):
    front = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    front = tokenizer.encode(front, add_special_tokens=False)
    back = [*tokenizer.encode(answer, add_special_tokens=False)[:96], tokenizer.eos_token_id]
    return torch.tensor(front + back), torch.tensor([-100] * len(front) + back)


def loss_on(rows):
    tokens, labels = zip(*rows, strict=True)
    pad = torch.nn.utils.rnn.pad_sequence
    tokens, labels = pad(tokens, batch_first=True), pad(labels, batch_first=True, padding_value=-100)
    return model(input_ids=tokens, labels=labels).loss  # padding stands on the right, where no answer looks


rows = [encode(*pair) for pair in sorted(set(pairs(args.module)))]
held_out, rows = rows[::8][:64], [row for number, row in enumerate(rows) if number % 8]


def held_out_loss():
    with torch.no_grad():
        return loss_on(held_out).item()


print(f"{len(rows)} exchanges about {args.module}; held_out_loss={held_out_loss():.3f} before", flush=True)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.lr)
for step in range(1, args.steps + 1):
    loss = loss_on([rows[number] for number in torch.randint(len(rows), (args.batch,))])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step={step} loss={loss.item():.3f}", flush=True)
out = args.out or f"{args.model}/adapters/{args.module}"
model.save_pretrained(out)
print(f"held_out_loss={held_out_loss():.3f} after; the adapter is at {out}", flush=True)
