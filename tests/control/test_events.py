import asyncio

from memory_api import pod, settle, world

from argosy.control.events import EventRecorder
from argosy.errors import Forbidden, ServiceUnavailable
from argosy.intent import Reason
from argosy.kinds import EVENT, NODE, POD
from argosy.testing.simloop import SimClock, run


def test_a_reason_becomes_an_event_and_repeats_are_counted():
    async def main():
        api, _, client = world()
        recorder = EventRecorder(client, "kubelet", SimClock(), host="node-1")
        subject = api.create(POD, pod("p"))
        recorder.emit(POD, subject, Reason("BackOff", "waiting", warning=True))
        await settle(lambda: api.of(EVENT))
        for _ in range(5):
            await asyncio.sleep(1)
            recorder.emit(POD, subject, Reason("BackOff", "waiting", warning=True))
        recorder.emit(POD, subject, Reason("Started", "x" * 5000))
        await recorder.close()
        first, second = sorted(api.of(EVENT).values(), key=lambda e: e["reason"])
        assert first["count"] == 6
        assert first["type"] == "Warning"
        assert first["firstTimestamp"] != first["lastTimestamp"]
        assert first["involvedObject"]["uid"] == subject["metadata"]["uid"]
        assert first["source"] == {"component": "kubelet", "host": "node-1"}
        assert len(second["message"]) == 1024
        # After a long silence it is news again.
        await asyncio.sleep(700)
        recorder.emit(POD, subject, Reason("BackOff", "waiting", warning=True))
        await recorder.close()
        assert len(api.of(EVENT)) == 3

    run(main())


def test_repeats_within_a_moment_are_one_write():
    async def main():
        api, faults, client = world()
        recorder = EventRecorder(client, "kubelet", SimClock())
        subject = api.create(POD, pod("p"))
        for _ in range(100):
            recorder.emit(POD, subject, Reason("BackOff", "waiting"))
        await recorder.close()
        assert [e["count"] for e in api.of(EVENT).values()] == [100]
        assert len(faults.sent) == 1

    run(main())


def test_the_caller_never_learns_of_trouble():
    async def main():
        api, faults, client = world()
        recorder = EventRecorder(client, "kubelet", SimClock())
        node = api.create(NODE, {"metadata": {"name": "n"}})
        faults.fail(ServiceUnavailable("away"), times=2)
        recorder.emit(NODE, node, Reason("Ready", "now"))
        await recorder.close(timeout=10)
        (event,) = api.of(EVENT).values()
        assert event["metadata"]["namespace"] == "default"
        faults.fail(Forbidden("namespace is being terminated"))
        recorder.emit(NODE, node, Reason("Lost", "now"))
        faults.fail(ConnectionError("away"), times=20)
        recorder.emit(NODE, node, Reason("LostAgain", "now"))
        await recorder.close(timeout=30)
        assert len(api.of(EVENT)) == 1
        # An event that has expired is written anew.
        faults._rules.clear()
        api.remove(("events", "default", event["metadata"]["name"]))
        recorder.emit(NODE, node, Reason("Ready", "now"))
        await recorder.close(timeout=10)
        assert [e["count"] for e in api.of(EVENT).values()] == [2]

    run(main())


def test_warnings_that_differ_in_words_alone_share_an_event_once_there_are_many():
    async def main():
        api, _, client = world()
        recorder = EventRecorder(client, "raycluster", SimClock())
        subject = api.create(POD, pod("p"))
        for number in range(40):
            recorder.emit(POD, subject, Reason("FailedCreate", f"Cannot create Pod head-{number}", warning=True))
            recorder.emit(POD, subject, Reason("SuccessfulCreate", f"Created pod {number}"))
            await asyncio.sleep(1)
        recorder.emit(POD, subject, Reason("FailedCreate", "Cannot create Pod head-3", warning=True))
        await recorder.close()
        failed = [e for e in api.of(EVENT).values() if e["reason"] == "FailedCreate"]
        assert sorted(e["count"] for e in failed) == [*[1] * 9, 2, 30], "those that are known keep their own"
        last = max(failed, key=lambda e: e["count"])
        assert last["message"] == "(combined from similar events): Cannot create Pod head-39"
        assert len(api.of(EVENT)) == 11 + 40, "what was done is told one by one"

    run(main())
