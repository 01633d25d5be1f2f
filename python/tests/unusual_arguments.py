"""Unusual arguments, and the observable effects of a call with one."""

import enum
import math
import os
import socket
import sys
import warnings
from decimal import Decimal
from fractions import Fraction

# The names of the methods of stubs that were called.
called = []


def stub(base=object, *args, **results):
    """An object with these methods, which return the given results or raise the exceptions."""

    def make_method(name, result):
        def method(self, *_):
            called.append(name)
            if isinstance(result, type) and issubclass(result, BaseException):
                raise result("from inside")
            return result

        return method

    arguments = [*map(repr, args), *(f"{name}={result!r}" for name, result in results.items())]
    text = f"{base.__name__}({', '.join(arguments)})"
    methods = {name: make_method(name, result) for name, result in results.items()}
    return type("Stub", (base,), {**methods, "__repr__": lambda self: text})(*args)


class Int(int):
    pass


class Float(float):
    pass


class Number(enum.IntEnum):
    MINUS_ONE = -1
    ONE = 1
    HUGE = 2**70


class Flag(enum.IntFlag):
    NONE = 0
    ONE = 1
    BOTH = 3


class HasProperty:
    """Its `fileno` is a property."""

    def __init__(self, get):
        self.get = get

    def __repr__(self):
        return f"HasProperty({self.get.__name__})"

    @property
    def fileno(self):
        called.append("fileno")
        return self.get()


def returns_a_function():
    return lambda: 1


def returns_an_integer():
    return 1


def raises_attribute_error():
    raise AttributeError("from inside")


def raises_value_error():
    raise ValueError("from inside")


class HasGetattr:
    def __getattr__(self, name):
        called.append(name)
        if name == "fileno":
            return lambda: 1
        raise AttributeError(name)


class HasAttribute:
    def __init__(self, fileno):
        self.fileno = fileno


class IndexWithoutCall:
    __index__ = 5


def closed(file):
    file.close()
    return file


def detached():
    sock = socket.socket()
    os.close(sock.detach())
    return sock


def around(limit):
    """The integers at a limit and next to it, of both signs."""
    return [sign * (limit + step) for sign in (1, -1) for step in (-1, 0, 1)]


def floats_around(limit):
    """The floats at a limit and next to it, of both signs."""
    floats = math.nextafter(limit, 0), limit, math.nextafter(limit, math.inf)
    return [sign * number for sign in (1, -1) for number in floats]


INT64_IN_MS = 2**63 // 10**6
INT64_IN_S = 2**63 // 10**9
INT32_IN_S = 2**31 // 10**3

INTEGERS = [
    0,
    *around(2),
    *(number for bits in (8, 15, 16, 31, 32, 53, 62, 63, 64) for number in around(2**bits)),
    *around(INT32_IN_S),
    *around(INT64_IN_MS),
    *around(INT64_IN_S),
    *(10**30, -(10**30), 10**400, -(10**400)),
]

FLOATS = [
    *(0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-300, 1e-9, -1e-9, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5),
    *floats_around(2.0**31 - 1),
    *floats_around(2.0**31),
    *floats_around((2.0**31 - 1) / 1e3),
    *floats_around(2.0**31 / 1e3),
    *floats_around(2.0**63 / 1e6),
    *floats_around(2.0**63 / 1e9),
    *floats_around(2.0**63),
    *(1e15, -1e15, 1e300, -1e300, sys.float_info.max, -sys.float_info.max),
    *(math.inf, -math.inf, math.nan, -math.nan),
]

OTHER_NUMBERS = [
    *(False, True, 0j, 1 + 1j),
    *(Int(0), Int(1), Int(-1), Int(2**16), Int(2**31), Int(2**70), Int(-(2**70))),
    *(Float(0), Float(0.5), Float(-1), Float("nan"), Float("inf"), Float(1e300)),
    *Number,
    *(Flag.NONE, Flag.ONE, Flag.BOTH),
    *(Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 3), Fraction(-1, 3), Fraction(2**31)),
    *(Fraction(10**30), Fraction(10**400), Fraction(1, 10**400), Fraction(2**63, 10**6)),
    *(Decimal(0), Decimal("-0"), Decimal(1), Decimal(-1), Decimal("0.5"), Decimal("-0.5")),
    *(Decimal("1e-400"), Decimal("1e400"), Decimal("-1e400"), Decimal(2**31), Decimal(2**63)),
    *(Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN"), Decimal("Infinity")),
    Decimal("-Infinity"),
]

NOT_NUMBERS = [
    *(None, "", "0", "1", "nan", b"", b"0", bytearray(b"0"), memoryview(b"0")),
    *([], [1], (), (1,), {}, {1: 1}, set(), range(1), slice(1)),
    *(object(), object, int, len, NotImplemented, Ellipsis),
]

# A subclass of int has the value 1, whatever its methods return.
STUB_INTEGERS = [
    stub(int, 1, __index__=7),
    stub(int, 1, __int__=7),
    stub(int, 1, __index__=ZeroDivisionError, __int__=ZeroDivisionError),
    stub(int, 1, __bool__=False, __eq__=False, __hash__=1),
    stub(int, 1, __eq__=ZeroDivisionError, __hash__=ZeroDivisionError),
    stub(int, 1, __lt__=True, __le__=True, __gt__=False, __ge__=False),
    stub(int, 1, __lt__=ZeroDivisionError, __le__=ZeroDivisionError),
    stub(int, -1, __lt__=False, __le__=False, __gt__=True, __ge__=True),
    stub(int, 1, __and__=0, __rand__=0),
    stub(int, 1, __rand__=2),
    stub(int, 3, __rand__="both"),
    stub(int, 1, __rand__=ZeroDivisionError),
    stub(int, 1, __mul__=0.0),
    stub(int, 1, __mul__="many"),
    stub(int, 1, __float__=ZeroDivisionError),
    stub(int, 1, fileno=0),
    stub(int, -1, fileno=0),
]

STUB_FLOATS = [
    stub(float, 1.0, __float__=7.0),
    stub(float, 1.0, __index__=7),
    stub(float, 1.0, __index__=ZeroDivisionError, __int__=ZeroDivisionError),
    stub(float, 1.0, __lt__=True, __le__=True),
    stub(float, 1.0, __le__=ZeroDivisionError),
    stub(float, -1.0, __le__=False, __mul__=1.0),
    stub(float, 1.0, __mul__=0.0),
    stub(float, 1.0, __mul__="many"),
    stub(float, 1.0, __mul__=ZeroDivisionError),
    stub(float, 1.0, __ceil__=7),
    stub(float, 1.0, fileno=1),
]

ONLY_INDEX = [
    *(stub(__index__=number) for number in (0, 1, 7, -1, 2**16, 2**31, 2**63, -(2**63) - 1, 2**70)),
    *(stub(__index__=result) for result in (True, Int(1), Int(-1), Number.ONE, Int(2**70))),
    *(stub(__index__=result) for result in ("1", 1.0, None, NotImplemented, Fraction(1))),
    *(stub(__index__=error) for error in (ZeroDivisionError, TypeError, ValueError, OverflowError)),
    *(stub(__index__=error) for error in (AttributeError, KeyboardInterrupt, StopIteration)),
    IndexWithoutCall(),
]

ONLY_INT_OR_FLOAT = [
    *(stub(__int__=result) for result in (0, 1, -1, 2**16, 2**70, True, Int(1), "1", 1.0)),
    *(stub(__int__=error) for error in (ZeroDivisionError, TypeError)),
    *(stub(__trunc__=1), stub(__ceil__=1), stub(__bool__=True), stub(__round__=1)),
    *(stub(__float__=result) for result in (0.0, 1.0, -1.0, 1e300, math.nan, math.inf, Float(1))),
    *(stub(__float__=result) for result in (1, "1", None)),
    *(stub(__float__=error) for error in (ZeroDivisionError, TypeError, OverflowError)),
    stub(__float__=KeyboardInterrupt),
    stub(__index__=0, __float__=ZeroDivisionError),
    stub(__index__=ZeroDivisionError, __float__=0.0),
    stub(__index__="1", __float__=0.0),
    stub(__index__=0, __int__=ZeroDivisionError),
]

# With the methods of numpy's scalars int64, float32 and bool_.
LIKE_NUMPY = [
    stub(__index__=1, __int__=1, __float__=1.0, __le__=False, __mul__=1000.0, __and__=1),
    stub(__index__=0, __int__=0, __float__=0.0, __le__=True, __mul__=0.0, __and__=0),
    stub(__int__=0, __float__=0.5, __le__=False, __mul__=500.0),
    stub(__index__=True, __int__=1, __float__=1.0, __bool__=True),
]

# Selectors compare a timeout, multiply it and round it up.
LIKE_SECONDS = [
    stub(__le__=True),
    stub(__ge__=True),
    stub(__le__="yes"),
    stub(__le__=""),
    stub(__le__=None, __mul__=1.0),
    stub(__le__=NotImplemented),
    stub(__le__=stub(__bool__=True)),
    stub(__le__=stub(__bool__=ZeroDivisionError)),
    stub(__le__=stub(__bool__="no")),
    stub(__le__=False),
    stub(__le__=TypeError),
    stub(__le__=KeyboardInterrupt),
    *(stub(__le__=False, __mul__=product) for product in (0.0, -0.5, 1.5, -1e300, 1e300)),
    *(stub(__le__=False, __mul__=product) for product in (math.inf, math.nan, 0, 1, -1, True)),
    *(stub(__le__=False, __mul__=product) for product in (2**31, -(2**31) - 1, 2**70, "1", None)),
    *(stub(__le__=False, __mul__=product) for product in (Fraction(1, 3), Decimal("0.5"), 1j)),
    *(stub(__le__=False, __mul__=product) for product in (Float(0.5), Int(1), NotImplemented)),
    stub(__le__=False, __mul__=stub(__ceil__=1)),
    stub(__le__=False, __mul__=stub(__ceil__=1.0)),
    stub(__le__=False, __mul__=stub(__ceil__="1")),
    stub(__le__=False, __mul__=stub(__ceil__=None)),
    stub(__le__=False, __mul__=stub(__ceil__=ZeroDivisionError)),
    stub(__le__=False, __mul__=stub(__ceil__=stub(__index__=1))),
    stub(__le__=False, __mul__=stub(__float__=0.5)),
    stub(__le__=False, __mul__=stub(__index__=1)),
    stub(__le__=False, __mul__=stub(float, 0.5, __ceil__=0)),
    stub(__le__=False, __mul__=stub(float, 0.5, __ceil__=2**70)),
    stub(__le__=False, __mul__=stub(float, 0.5, __le__=ZeroDivisionError)),
    stub(__le__=False, __mul__=stub(int, 1, __ceil__=0)),
    stub(__le__=False, __mul__=ZeroDivisionError),
    stub(__le__=False, __rmul__=1.0),
]

WITH_FILENO = [
    *(stub(fileno=fd) for fd in (0, 1, -1, -3, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**70)),
    *(stub(fileno=fd) for fd in (True, False, Int(1), Int(-1), Number.ONE)),
    *(
        stub(fileno=fd)
        for fd in (stub(int, 1, __index__=0), stub(int, 1, __lt__=ZeroDivisionError))
    ),
    *(stub(fileno=fd) for fd in (None, 1.0, "1", b"1", Fraction(1), NotImplemented)),
    *(stub(fileno=fd) for fd in (stub(__index__=1), stub(__int__=1), stub(fileno=1))),
    *(stub(fileno=error) for error in (ZeroDivisionError, TypeError, ValueError, OSError)),
    *(stub(fileno=error) for error in (AttributeError, KeyError, KeyboardInterrupt, OverflowError)),
    stub(int, 1, fileno=ZeroDivisionError),
    stub(fileno=1, __index__=0),
    stub(fileno=None, __index__=1),
    stub(fileno=AttributeError, __index__=1),
    HasAttribute(lambda: 1),
    HasAttribute(lambda argument: 1),
    HasAttribute(1),
    HasAttribute(None),
    HasProperty(returns_a_function),
    HasProperty(returns_an_integer),
    HasProperty(raises_attribute_error),
    HasProperty(raises_value_error),
    HasAttribute,
    HasGetattr(),
    closed(socket.socket()),
    closed(open(os.devnull)),  # noqa: SIM115
    closed(open(os.devnull, "rb", buffering=0)),  # noqa: SIM115
    detached(),
]

VALUES = [
    *INTEGERS,
    *FLOATS,
    *OTHER_NUMBERS,
    *NOT_NUMBERS,
    *STUB_INTEGERS,
    *STUB_FLOATS,
    *ONLY_INDEX,
    *ONLY_INT_OR_FLOAT,
    *LIKE_NUMPY,
    *LIKE_SECONDS,
    *WITH_FILENO,
]


def name(value):
    return f"{type(value).__name__}-{value!r:.40}"


def describe(error):
    """An exception, its cause and its context, as a value that can be compared."""
    if error is None:
        return None
    return {
        "raised": type(error),
        "arguments": [(type(argument), repr(argument)) for argument in error.args],
        "text": str(error),
        "cause": describe(error.__cause__),
        "context": describe(error.__context__),
        "suppressed": error.__suppress_context__,
    }


def observe(call, *args, warning_action="always"):
    """The result or exception of the call, its warnings, and the methods that it called."""
    called.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(warning_action)
        try:
            raise LookupError("being handled")
        except LookupError:
            try:
                outcome = {"returned": repr(call(*args))}
            except BaseException as error:
                outcome = describe(error)
    return {
        **outcome,
        "warnings": [(each.category, str(each.message), each.filename) for each in caught],
        "called": called[:],
    }
