"""What kind of object it is."""

import copy
import inspect
import pickle
import pydoc
import re
import select
import selectors
import sys
import types
import weakref
from select import POLLIN

import pollset
import pytest
from support import Raised, outcome


@pytest.fixture(params=[select, pollset], ids=["select", "pollset"])
def module(request):
    """What differs in nothing but the name of the module."""
    return request.param


def test_poll_is_a_builtin_function(module):
    assert type(module.poll) is types.BuiltinFunctionType
    assert module.poll.__name__ == module.poll.__qualname__ == "poll"
    assert module.poll.__module__ == module.__name__
    assert repr(module.poll) == "<built-in function poll>"
    assert callable(module.poll)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps], ids=["C", "Python"])
def test_poll_is_pickled_by_its_public_name(module, protocol, dumps):
    pickled = dumps(module.poll, protocol)
    assert module.__name__.encode() in pickled
    assert b"_pollset" not in pickled
    assert pickle.loads(pickled) is module.poll
    assert copy.deepcopy(module.poll) is module.poll


def test_poll_is_not_bound_in_a_class(module):
    class Uses:
        make = module.poll

    assert type(Uses().make()) is type(module.poll())


def test_poll_takes_no_arguments_of_selects(module):
    assert outcome(module.poll, 1).type is TypeError
    assert outcome(module.poll, "poll").type is TypeError
    assert outcome(module.poll, unknown=1).type is TypeError


def test_each_call_makes_another_object(poll):
    assert poll() is not poll()
    assert type(poll()) is type(poll())


def test_the_name_of_the_type(module):
    kind = type(module.poll())
    assert kind.__name__ == kind.__qualname__ == "poll"
    assert kind.__module__ == module.__name__
    assert kind is not module.poll
    assert kind.__mro__ == (kind, object)


def test_the_type_cannot_be_instantiated(module):
    kind = type(module.poll())
    answer = outcome(kind)
    assert answer.type is TypeError
    if sys.version_info >= (3, 10):
        assert answer.text == f"cannot create '{module.__name__}.poll' instances"
    assert outcome(kind.__new__, kind).type is TypeError
    assert outcome(object.__new__, kind).type is TypeError


def test_the_type_cannot_be_subclassed(module):
    kind = type(module.poll())
    error = Raised(TypeError, f"type '{module.__name__}.poll' is not an acceptable base type")
    assert outcome(type, "Derived", (kind,), {}) == error


def test_repr(module):
    assert re.fullmatch(rf"<{module.__name__}\.poll object at 0x[0-9a-f]+>", repr(module.poll()))
    assert str(module.poll()).startswith("<")


def test_always_true(poll):
    poller = poll()
    assert bool(poller) is True
    poller.register(1)
    assert bool(poller) is True
    poller.unregister(1)
    assert bool(poller) is True


def test_equality_and_hash_are_those_of_the_identity(poll):
    one, other = poll(), poll()
    assert one == one
    assert not one == other  # noqa: SIM201
    assert one != other
    assert hash(one) == object.__hash__(one)
    assert {one: 1, other: 2}[one] == 1
    one.register(1)
    assert hash(one) == object.__hash__(one)


def test_no_order(poll):
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(poll(), compare)(poll()) is NotImplemented


def test_no_attributes_of_its_own(poll):
    poller = poll()
    assert not hasattr(poller, "__dict__")
    assert outcome(setattr, poller, "mine", 1).type is AttributeError
    assert outcome(setattr, poller, "poll", 1).type is AttributeError
    assert outcome(delattr, poller, "poll").type is AttributeError
    assert outcome(lambda: poller.unknown).type is AttributeError


def test_the_public_names(module):
    names = {name for name in dir(module.poll()) if not name.startswith("_")}
    added = {"stats"} if module is pollset else set()
    assert names == {"register", "modify", "unregister", "poll", *added}


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_it_cannot_be_copied(module, how):
    error = Raised(TypeError, f"cannot pickle '{module.__name__}.poll' object")
    assert outcome(how, module.poll()) == error
    assert outcome(how, [module.poll()]) == error or how is copy.copy


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps], ids=["C", "Python"])
def test_it_cannot_be_pickled(module, protocol, dumps):
    answer = outcome(dumps, module.poll(), protocol)
    if protocol >= 2:
        assert answer == Raised(TypeError, f"cannot pickle '{module.__name__}.poll' object")
    elif sys.version_info >= (3, 10):
        assert answer.type is pickle.PicklingError
        assert "not the same object" in answer.text
    else:
        assert answer == Raised(TypeError, "cannot pickle 'poll' object")


def test_no_weak_references(poll):
    assert outcome(weakref.ref, poll()).type is TypeError


def test_the_methods_serve_without_their_object(poll, descriptors):
    fd = descriptors.readable()
    poller = poll()
    register, ask = poller.register, poller.poll
    del poller
    register(fd, POLLIN)
    assert ask(0) == [(fd, POLLIN)]


def test_the_methods_of_the_type_take_only_its_objects(poll):
    kind = type(poll())
    assert outcome(kind.register, object(), 1).type is TypeError
    assert outcome(kind.modify, object(), 1, 1).type is TypeError
    assert outcome(kind.unregister, object(), 1).type is TypeError
    assert outcome(kind.poll, object()).type is TypeError


def test_poll_selector_takes_it_from_a_class_attribute(module, descriptors):
    class Selector(selectors.PollSelector):
        _selector_cls = module.poll

    fd = descriptors.readable()
    with Selector() as selector:
        key = selector.register(fd, selectors.EVENT_READ)
        assert selector.select() == [(key, selectors.EVENT_READ)]
        selector.modify(fd, selectors.EVENT_WRITE)
        assert selector.select(0.01) == []


# What help() and inspect show.


@pytest.mark.parametrize(
    "method, signature",
    [
        ("register", ["fd", "eventmask"]),
        ("modify", ["fd", "eventmask"]),
        ("unregister", ["fd"]),
        ("poll", ["timeout"]),
    ],
)
def test_signatures_of_the_methods(method, signature):
    parameters = inspect.signature(getattr(pollset.poll(), method)).parameters.values()
    assert [parameter.name for parameter in parameters] == signature
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_ONLY}


def test_defaults():
    poller = pollset.poll()
    assert inspect.signature(poller.register).parameters["eventmask"].default == 7
    assert inspect.signature(poller.poll).parameters["timeout"].default is None


@pytest.mark.parametrize("method", ["register", "modify", "unregister", "poll", "stats"])
def test_each_method_is_explained(method):
    kind = type(pollset.poll())
    assert len(inspect.getdoc(getattr(kind, method))) > 50
    assert f"{method}(" in pydoc.render_doc(kind, renderer=pydoc.plaintext)


def test_the_module_and_the_function_are_explained():
    assert "poll" in inspect.getdoc(pollset)
    assert "polling object" in inspect.getdoc(pollset.poll)
