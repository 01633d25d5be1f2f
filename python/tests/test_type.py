"""The type of polling objects, and the function that makes them."""

import copy
import inspect
import pickle
import pydoc
import re
import select
import selectors
import types
import weakref
from functools import partial
from select import POLLIN

import pollset
import pytest
from support import Raised, outcome


@pytest.fixture(params=[select, pollset], ids=["select", "pollset"])
def module(request):
    """Both modules. The results must be equal except for the module name."""
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
    class HasPoll:
        make = module.poll

    assert type(HasPoll().make()) is type(module.poll())


def test_poll_refuses_positional_and_unknown_arguments(module):
    assert outcome(module.poll, 1).type is TypeError
    assert outcome(module.poll, "poll").type is TypeError
    assert outcome(module.poll, unknown=1).type is TypeError


def test_each_call_makes_a_new_object(poll):
    assert poll() is not poll()
    assert type(poll()) is type(poll())


def test_the_name_of_the_type(module):
    kind = type(module.poll())
    assert kind.__name__ == kind.__qualname__ == "poll"
    assert kind.__module__ == module.__name__
    assert kind is not module.poll
    assert kind.__mro__ == (kind, object)


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


def test_equality_and_hash_use_the_identity(poll):
    one, other = poll(), poll()
    assert one == one
    assert not one == other  # noqa: SIM201
    assert one != other
    assert hash(one) == object.__hash__(one)
    assert {one: 1, other: 2}[one] == 1
    one.register(1)
    assert hash(one) == object.__hash__(one)


def test_the_public_names(module):
    names = {name for name in dir(module.poll()) if not name.startswith("_")}
    added = {"stats"} if module is pollset else set()
    assert names == {"register", "modify", "unregister", "poll", *added}


# Refused operations, with the same message except for the module name.


REFUSED = {
    "instantiated by object": lambda poller: object.__new__(type(poller)),
    "subclassed": lambda poller: type("Derived", (type(poller),), {}),
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
    "copied in a list": lambda poller: copy.deepcopy([poller]),
    "referred to weakly": weakref.ref,
    "called": lambda poller: poller(),
    "indexed": lambda poller: poller[0],
    "ordered": lambda poller: poller < poller,
    "added to": lambda poller: poller + 1,
    "an integer": int,
    "a float": float,
    "an attribute": lambda poller: poller.unknown,
    "a __dict__": lambda poller: poller.__dict__,
    "an attribute that is set": lambda poller: setattr(poller, "other", 1),
    "a method that is set": lambda poller: setattr(poller, "poll", 1),
    "a method that is deleted": lambda poller: delattr(poller, "poll"),
    "another class": lambda poller: setattr(poller, "__class__", int),
    "register() of another object": lambda poller: type(poller).register(object(), 1),
    "modify() of another object": lambda poller: type(poller).modify(object(), 1, 1),
    "unregister() of another object": lambda poller: type(poller).unregister(object(), 1),
    "poll() of another object": lambda poller: type(poller).poll(object()),
    "a descriptor": lambda poller: poller.register(poller),
    "a mask": lambda poller: poller.register(1, poller),
    "a timeout": lambda poller: poller.poll(poller),
    **{
        f"pickled by {dumps.__qualname__} with protocol {protocol}": partial(
            dumps, protocol=protocol
        )
        for dumps in (pickle.dumps, pickle._dumps)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def expected(operation):
    refused = outcome(operation, select.poll())
    assert isinstance(refused, Raised)
    return Raised(refused.type, refused.text.replace("select.poll", "pollset.poll"))


@pytest.mark.parametrize("operation", REFUSED.values(), ids=REFUSED)
def test_refused_operations(operation):
    assert outcome(operation, pollset.poll()) == expected(operation)


@pytest.mark.parametrize("instantiate", [lambda kind: kind(), lambda kind: kind.__new__(kind)])
def test_the_type_cannot_be_instantiated(instantiate):
    def operation(poller):
        return instantiate(type(poller))

    refused = expected(operation)
    actual = outcome(operation, pollset.poll())
    assert actual.type is refused.type
    assert actual.text == refused.text or "pollset" not in refused.text


def test_bound_methods_keep_the_object_alive(poll, descriptors):
    fd = descriptors.readable()
    poller = poll()
    register, poll_method = poller.register, poller.poll
    del poller
    register(fd, POLLIN)
    assert poll_method(0) == [(fd, POLLIN)]


def test_poll_as_the_selector_cls_of_a_standard_selector(module, descriptors):
    class Selector(selectors.PollSelector):
        _selector_cls = module.poll

    fd = descriptors.readable()
    with Selector() as selector:
        key = selector.register(fd, selectors.EVENT_READ)
        assert selector.select() == [(key, selectors.EVENT_READ)]
        selector.modify(fd, selectors.EVENT_WRITE)
        assert selector.select(0.01) == []


# help() and inspect.


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
def test_each_method_has_a_docstring(method):
    kind = type(pollset.poll())
    assert len(inspect.getdoc(getattr(kind, method))) > 50
    assert f"{method}(" in pydoc.render_doc(kind, renderer=pydoc.plaintext)


def test_the_module_and_the_function_have_docstrings():
    assert "poll" in inspect.getdoc(pollset)
    assert "polling object" in inspect.getdoc(pollset.poll)
