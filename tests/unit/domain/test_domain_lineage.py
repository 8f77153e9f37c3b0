"""The graph of what came from what, walked both ways."""

from factories import NOON, a_digest
from intramural.domain.lineage import Graph, LineageObject, LineageTree, Quarantine


def an_object(kind, name):
    return LineageObject(kind=kind, id=name, title=name)


def a_graph():
    graph = Graph()
    graph.add(an_object("model", "tiny"))
    graph.add(an_object("data", "tickets@1"))
    graph.add(an_object("job", "j"), ("model:tiny", "data:tickets@1"))
    graph.add(an_object("run", "r"), ("job:j",))
    graph.add(an_object("artifact", "a"), ("run:r",))
    graph.add(an_object("artifact", "m"), ("artifact:a",))
    return graph


def keys(branches):
    return [(each.object.key, keys(each.branches)) for each in branches]


def test_an_object_has_everything_above_and_below_it():
    tree = a_graph().tree("run:r")

    assert keys(tree.up) == [("job:j", [("model:tiny", []), ("data:tickets@1", [])])]
    assert keys(tree.down) == [("artifact:a", [("artifact:m", [])])]
    assert LineageTree.model_validate(tree.document()) == tree


def test_what_lies_below_is_named_once_nearest_first():
    graph = a_graph()
    graph.add(an_object("artifact", "both"), ("job:j", "run:r"))

    assert [each.key for each in graph.below("data:tickets@1")] == [
        "job:j",
        "run:r",
        "artifact:both",
        "artifact:a",
        "artifact:m",
    ]
    assert graph.below("artifact:m") == []


def test_what_an_object_was_made_of_may_be_gone():
    graph = Graph()
    graph.add(an_object("job", "j"), ("data:gone@1",))

    assert graph.tree("job:j").up == ()


def test_a_quarantine_covers_an_object_and_its_bytes_under_another_name():
    held = Quarantine(project="default", kind="data", id="tickets@1", digest=a_digest(), reason="r", by="user:a", at=NOON)

    assert held.covers(held.kind, "tickets@1", None)
    assert held.covers(held.kind, "copy@7", a_digest())
    assert not held.covers(held.kind, "copy@7", a_digest("other"))
    assert not held.covers(an_object("job", "x").kind, "tickets@1", a_digest())
    assert not held.model_copy(update={"digest": None}).covers(held.kind, "copy@7", None)
