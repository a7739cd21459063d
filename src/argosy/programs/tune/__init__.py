"""`tune`, torchtune's command, on transformers and peft: what Kubeflow's BuiltinTrainer runs, in images without torchtune."""
