"""An OpenAI-compatible server for one Hugging Face model and its LoRA adapters; runs in pods, on CPUs and GPUs.

`python -m argosy.programs.model_server --model_name NAME --model_dir PATH`. `app` answers HTTP, `engine` generates in a
thread of its own, `openai` and `text` are pure. torch is imported after the socket is open, so health checks are
answered from the first moment.
"""
