"""Odd arguments, and all that can be observed of a call that gets one."""

import enum
import math
import os
import socket
import sys
import warnings
from decimal import Decimal
from fractions import Fraction

# The special methods of odd objects that were called.
called = []


def odd(base=object, *args, **answers):
    """An object with these methods: each returns what is given, or raises it."""

    def method(name, answer):
        def method(self, *_):
            called.append(name)
            if isinstance(answer, type) and issubclass(answer, BaseException):
                raise answer("from inside")
            return answer

        return method

    arguments = [*map(repr, args), *(f"{name}={answer!r}" for name, answer in answers.items())]
    text = f"{base.__name__}({', '.join(arguments)})"
    methods = {name: method(name, answer) for name, answer in answers.items()}
    return type("Odd", (base,), {**methods, "__repr__": lambda self: text})(*args)


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


def gives_a_function():
    return lambda: 1


def gives_an_integer():
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


def around(border):
    """Integers at it and beside it, of both signs."""
    return [sign * (border + step) for sign in (1, -1) for step in (-1, 0, 1)]


def beside(border):
    """Floats at it and beside it, of both signs."""
    floats = math.nextafter(border, 0), border, math.nextafter(border, math.inf)
    return [sign * each for sign in (1, -1) for each in floats]


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
    *beside(2.0**31 - 1),
    *beside(2.0**31),
    *beside((2.0**31 - 1) / 1e3),
    *beside(2.0**31 / 1e3),
    *beside(2.0**63 / 1e6),
    *beside(2.0**63 / 1e9),
    *beside(2.0**63),
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

NO_NUMBERS = [
    *(None, "", "0", "1", "nan", b"", b"0", bytearray(b"0"), memoryview(b"0")),
    *([], [1], (), (1,), {}, {1: 1}, set(), range(1), slice(1)),
    *(object(), object, int, len, NotImplemented, Ellipsis),
]

# int(1) with other methods is an int of the value 1, whatever they answer.
ODD_INTEGERS = [
    odd(int, 1, __index__=7),
    odd(int, 1, __int__=7),
    odd(int, 1, __index__=ZeroDivisionError, __int__=ZeroDivisionError),
    odd(int, 1, __bool__=False, __eq__=False, __hash__=1),
    odd(int, 1, __eq__=ZeroDivisionError, __hash__=ZeroDivisionError),
    odd(int, 1, __lt__=True, __le__=True, __gt__=False, __ge__=False),
    odd(int, 1, __lt__=ZeroDivisionError, __le__=ZeroDivisionError),
    odd(int, -1, __lt__=False, __le__=False, __gt__=True, __ge__=True),
    odd(int, 1, __and__=0, __rand__=0),
    odd(int, 1, __rand__=2),
    odd(int, 3, __rand__="both"),
    odd(int, 1, __rand__=ZeroDivisionError),
    odd(int, 1, __mul__=0.0),
    odd(int, 1, __mul__="many"),
    odd(int, 1, __float__=ZeroDivisionError),
    odd(int, 1, fileno=0),
    odd(int, -1, fileno=0),
]

ODD_FLOATS = [
    odd(float, 1.0, __float__=7.0),
    odd(float, 1.0, __index__=7),
    odd(float, 1.0, __index__=ZeroDivisionError, __int__=ZeroDivisionError),
    odd(float, 1.0, __lt__=True, __le__=True),
    odd(float, 1.0, __le__=ZeroDivisionError),
    odd(float, -1.0, __le__=False, __mul__=1.0),
    odd(float, 1.0, __mul__=0.0),
    odd(float, 1.0, __mul__="many"),
    odd(float, 1.0, __mul__=ZeroDivisionError),
    odd(float, 1.0, __ceil__=7),
    odd(float, 1.0, fileno=1),
]

ONLY_INDEX = [
    *(odd(__index__=number) for number in (0, 1, 7, -1, 2**16, 2**31, 2**63, -(2**63) - 1, 2**70)),
    *(odd(__index__=answer) for answer in (True, Int(1), Int(-1), Number.ONE, Int(2**70))),
    *(odd(__index__=answer) for answer in ("1", 1.0, None, NotImplemented, Fraction(1))),
    *(odd(__index__=error) for error in (ZeroDivisionError, TypeError, ValueError, OverflowError)),
    *(odd(__index__=error) for error in (AttributeError, KeyboardInterrupt, StopIteration)),
    IndexWithoutCall(),
]

ONLY_INT_OR_FLOAT = [
    *(odd(__int__=answer) for answer in (0, 1, -1, 2**16, 2**70, True, Int(1), "1", 1.0)),
    *(odd(__int__=error) for error in (ZeroDivisionError, TypeError)),
    *(odd(__trunc__=1), odd(__ceil__=1), odd(__bool__=True), odd(__round__=1)),
    *(odd(__float__=answer) for answer in (0.0, 1.0, -1.0, 1e300, math.nan, math.inf, Float(1))),
    *(odd(__float__=answer) for answer in (1, "1", None)),
    *(odd(__float__=error) for error in (ZeroDivisionError, TypeError, OverflowError)),
    odd(__float__=KeyboardInterrupt),
    odd(__index__=0, __float__=ZeroDivisionError),
    odd(__index__=ZeroDivisionError, __float__=0.0),
    odd(__index__="1", __float__=0.0),
    odd(__index__=0, __int__=ZeroDivisionError),
]

# As the scalars of numpy: int64, float32 and bool_.
LIKE_NUMPY = [
    odd(__index__=1, __int__=1, __float__=1.0, __le__=False, __mul__=1000.0, __and__=1),
    odd(__index__=0, __int__=0, __float__=0.0, __le__=True, __mul__=0.0, __and__=0),
    odd(__int__=0, __float__=0.5, __le__=False, __mul__=500.0),
    odd(__index__=True, __int__=1, __float__=1.0, __bool__=True),
]

# To a selector, a timeout is what can be compared, multiplied and rounded up.
LIKE_SECONDS = [
    odd(__le__=True),
    odd(__ge__=True),
    odd(__le__="yes"),
    odd(__le__=""),
    odd(__le__=None, __mul__=1.0),
    odd(__le__=NotImplemented),
    odd(__le__=odd(__bool__=True)),
    odd(__le__=odd(__bool__=ZeroDivisionError)),
    odd(__le__=odd(__bool__="no")),
    odd(__le__=False),
    odd(__le__=TypeError),
    odd(__le__=KeyboardInterrupt),
    *(odd(__le__=False, __mul__=product) for product in (0.0, -0.5, 1.5, -1e300, 1e300)),
    *(odd(__le__=False, __mul__=product) for product in (math.inf, math.nan, 0, 1, -1, True)),
    *(odd(__le__=False, __mul__=product) for product in (2**31, -(2**31) - 1, 2**70, "1", None)),
    *(odd(__le__=False, __mul__=product) for product in (Fraction(1, 3), Decimal("0.5"), 1j)),
    *(odd(__le__=False, __mul__=product) for product in (Float(0.5), Int(1), NotImplemented)),
    odd(__le__=False, __mul__=odd(__ceil__=1)),
    odd(__le__=False, __mul__=odd(__ceil__=1.0)),
    odd(__le__=False, __mul__=odd(__ceil__="1")),
    odd(__le__=False, __mul__=odd(__ceil__=None)),
    odd(__le__=False, __mul__=odd(__ceil__=ZeroDivisionError)),
    odd(__le__=False, __mul__=odd(__ceil__=odd(__index__=1))),
    odd(__le__=False, __mul__=odd(__float__=0.5)),
    odd(__le__=False, __mul__=odd(__index__=1)),
    odd(__le__=False, __mul__=odd(float, 0.5, __ceil__=0)),
    odd(__le__=False, __mul__=odd(float, 0.5, __ceil__=2**70)),
    odd(__le__=False, __mul__=odd(float, 0.5, __le__=ZeroDivisionError)),
    odd(__le__=False, __mul__=odd(int, 1, __ceil__=0)),
    odd(__le__=False, __mul__=ZeroDivisionError),
    odd(__le__=False, __rmul__=1.0),
]

WITH_FILENO = [
    *(odd(fileno=fd) for fd in (0, 1, -1, -3, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**70)),
    *(odd(fileno=fd) for fd in (True, False, Int(1), Int(-1), Number.ONE)),
    *(odd(fileno=fd) for fd in (odd(int, 1, __index__=0), odd(int, 1, __lt__=ZeroDivisionError))),
    *(odd(fileno=fd) for fd in (None, 1.0, "1", b"1", Fraction(1), NotImplemented)),
    *(odd(fileno=fd) for fd in (odd(__index__=1), odd(__int__=1), odd(fileno=1))),
    *(odd(fileno=error) for error in (ZeroDivisionError, TypeError, ValueError, OSError)),
    *(odd(fileno=error) for error in (AttributeError, KeyError, KeyboardInterrupt, OverflowError)),
    odd(int, 1, fileno=ZeroDivisionError),
    odd(fileno=1, __index__=0),
    odd(fileno=None, __index__=1),
    odd(fileno=AttributeError, __index__=1),
    HasAttribute(lambda: 1),
    HasAttribute(lambda argument: 1),
    HasAttribute(1),
    HasAttribute(None),
    HasProperty(gives_a_function),
    HasProperty(gives_an_integer),
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
    *NO_NUMBERS,
    *ODD_INTEGERS,
    *ODD_FLOATS,
    *ONLY_INDEX,
    *ONLY_INT_OR_FLOAT,
    *LIKE_NUMPY,
    *LIKE_SECONDS,
    *WITH_FILENO,
]


def name(value):
    return f"{type(value).__name__}-{value!r:.40}"


def described(error):
    """What can be compared of an exception, and of those it came from."""
    if error is None:
        return None
    return {
        "raised": type(error),
        "arguments": [(type(argument), repr(argument)) for argument in error.args],
        "text": str(error),
        "cause": described(error.__cause__),
        "context": described(error.__context__),
        "suppressed": error.__suppress_context__,
    }


def observed(call, *args, warned="always"):
    """What the call returned or raised, what it warned of, and what it called."""
    called.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(warned)
        try:
            raise LookupError("handled meanwhile")
        except LookupError:
            try:
                outcome = {"returned": repr(call(*args))}
            except BaseException as error:
                outcome = described(error)
    return {
        **outcome,
        "warnings": [(each.category, str(each.message), each.filename) for each in caught],
        "called": called[:],
    }
