"""The end of the demo: the summary table, what to try next, and the report."""

from __future__ import annotations

from pathlib import Path

from argosy.cli.demo.story import Story
from argosy.cli.terminal import print_facts, say
from argosy.cluster.process import EngineState
from argosy.meta.json import encode
from argosy.programs.demo import report


def write_report(story: Story, directory: Path) -> Path:
    """Write `report.html` and, beside it, the values that it was made of."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "story.json").write_bytes(encode(story.as_json()))
    path = directory / "report.html"
    path.write_text(
        report.render(
            title=f"A model's whole life, run {story.run}",
            facts=list(story.facts.items()),
            curves={name: [(float(step.step), step.loss) for step in steps] for name, steps in story.curves.items()},
            moments=[report.Moment(m.what, m.at, m.until) for m in story.moments],
            replicas=story.replicas,
            samples=story.samples,
            baseline=_baseline(story),
        )
    )
    return path


def _baseline(story: Story) -> report.Mark | None:
    """What the model had to beat, once pre-training has said it."""
    told = story.facts.get("unigram entropy", "").partition(" ")[0]
    return report.Mark(f"unigram entropy {told}", float(told)) if told else None


def print_summary(story: Story, state: EngineState, path: Path) -> None:
    """The table, the addresses, and lines to try."""
    say("\nWhat happened")
    print_facts({f"  {name}": value for name, value in story.facts.items()})
    say("\nIt all runs on, until: argosy down")
    print_facts(
        {
            "  chat": f"{state.ingress}/chat/",
            "  endpoint": f"{state.ingress}/v1",
            "  MLflow": f"{state.ingress}/mlflow/",
            "  report": str(path),
        }
    )
    say(
        f"""
Try
  export KUBECONFIG={state.kubeconfig}
  kubectl get pods,pytorchjobs,inferenceservices -A
  kubectl describe pytorchjob pretrain -n demo
  kubectl delete pod -n demo -l component=predictor      # another comes; no request is lost
  argosy why isvc/demo -n demo --all
  argosy chat "What does asyncio.gather do?" --model concurrency
  curl -N {state.ingress}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model":"demo","stream":true,"max_tokens":40,"messages":[{{"role":"user","content":"What is a socket?"}}]}}'"""
    )
