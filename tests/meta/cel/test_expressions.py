import pytest

from argosy.meta.cel.check import compiled
from argosy.meta.cel.cost import upper_bound
from argosy.meta.cel.evaluate import program
from argosy.meta.cel.native import native
from argosy.meta.cel.syntax import Issues
from argosy.meta.cel.types import of_schema
from argosy.meta.cel.values import EvalError, TooCostly

TEXT = {"type": "string", "maxLength": 50}
SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"}, "n": {"type": "number"}, "s": TEXT, "i": {"x-kubernetes-int-or-string": True},
        "l": {"type": "array", "maxItems": 10, "items": TEXT},
        "m": {"type": "object", "maxProperties": 10, "additionalProperties": TEXT},
        "d": {"type": "string", "format": "duration"}, "t": {"type": "string", "format": "date-time"},
        "b": {"type": "string", "format": "byte", "maxLength": 20},
        "set": {"type": "array", "maxItems": 5, "x-kubernetes-list-type": "set", "items": TEXT},
        "k": {
            "type": "array", "maxItems": 5, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": TEXT, "v": {"type": "integer"}}},
        },
        "o": {"type": "object", "properties": {"x-y": {"type": "integer"}, "namespace": TEXT}},
    },
}  # fmt: skip
OBJ = {
    "apiVersion": "t.io/v1", "kind": "Widget", "metadata": {"name": "obj"},
    "a": 5, "n": 2, "s": "hello-World", "i": "50%", "l": ["b", "a"], "m": {"x": "1"}, "d": "1h30m",
    "t": "2024-02-03T04:05:06Z", "b": "aGk=", "set": ["p", "q"],
    "k": [{"name": "one", "v": 1}, {"name": "two", "v": 2}], "o": {"x-y": 3, "namespace": "ns"},
}  # fmt: skip
SELF = of_schema(SCHEMA, resource=True)


def value(text):
    return program(compiled(text, {"self": SELF}))({"self": native(OBJ, SCHEMA)})


@pytest.mark.parametrize(
    "text",
    """
self.a == 5 && self.n / 2.0 == 1.0
self.l == ['b', 'a'] && self.l != ['a', 'b']
self.set == ['q', 'p'] && self.set + ['q', 'r'] == ['p', 'q', 'r']
'x' in self.m && self.m.x == '1' && self.m['x'] == '1' && !('z' in self.m)
self.d == duration('90m') && self.d > duration('1h') && string(self.d) == '5400s'
self.t.getFullYear() == 2024 && self.t.getMonth() == 1 && self.t < timestamp('2025-01-01T00:00:00Z')
self.t.getHours('+02:00') == 6
self.t + duration('24h') - self.t == duration('1440m')
type(self.i) == string && self.i in ['50%', '60%']
self.b == b'hi'
self.o.x__dash__y == 3 && self.o.__namespace__ == 'ns' && self.o.namespace == 'ns'
self.metadata.name == 'obj' && self.kind == 'Widget' && self.apiVersion == 't.io/v1'
has(self.o) && self.?a.hasValue() && self.m[?'nope'].orValue('d') == 'd'
self.k.all(x, x.v > 0) && self.k.exists(x, x.v == 2) && self.k.exists_one(x, x.v == 1)
self.k.filter(x, x.v > 1)[0].name == 'two' && self.k.map(x, x.v > 1, x.name) == ['two']
[5, 6].all(i, v, v == i + 5) && {'a': 1}.exists(k, v, k == 'a' && v == 1)
[1, 2].transformList(i, v, v * 2) == [2, 4] && {'a': 1}.transformMap(k, v, v + 1) == {'a': 2}
false && self.l[9] == 'x' ? false : true || self.l[9] == 'x'
self.l[9] == 'x' || true
-5 / 2 == -2 && -5 % 3 == -2 && 5 % 3 == 2 && 7u / 2u == 3u
1.0 < 2 && 1u < 2 && 'a' < 'b' && false < true
int('7') == 7 && double('1.5') == 1.5 && string(2.5) == '2.5' && bool('true') && uint(3) == 3u
0x1F == 31 && 1e3 == 1000.0 && r'\\d' == '\\\\d' && '\\u00e9'.size() == 1 && \"\"\"a"b\"\"\" == 'a"b'
'%d items %s %.2f %x'.format([3, 'x', 1.5, 255]) == '3 items x 1.50 ff'
'a,b'.split(',') == ['a', 'b'] && ['a', 'b'].join('|') == 'a|b' && 'abc'.substring(1, 2) == 'b'
self.s.lowerAscii().replace('-', '') == 'helloworld' && self.s.indexOf('o') == 4 && self.s.lastIndexOf('o') == 7
self.s.matches('^h.*d$') && self.s.find('[A-Z]') == 'W' && 'a1b2'.findAll('[0-9]') == ['1', '2']
[3, 1].min() == 1 && [1, 2, 3].sum() == 6 && !self.l.isSorted() && self.l.indexOf('a') == 1
sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2]) && !sets.equivalent([1], [2])
quantity('500Mi').isGreaterThan(quantity('100Mi')) && quantity('1').add(2) == quantity('3') && !isQuantity('x')
quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('1k').asInteger() == 1000
ip('1.2.3.4').family() == 4 && !isIP('1.2.3') && ip('::1').isLoopback() && ip.isCanonical('1.2.3.4')
cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')
url('https://a.b:80/c?d=e').getHostname() == 'a.b' && url('https://a.b:80/c?d=e').getQuery() == {'d': ['e']}
semver('1.2.3').isLessThan(semver('2.0.0-rc.1')) && !isSemver('v1')
format.dns1123Label().validate('Abc').hasValue() && !format.dns1123Label().validate('abc').hasValue()
optional.of(1).optMap(x, x + 1).value() == 2 && !optional.none().hasValue()
dyn(1) == dyn(1.0) && dyn(1) != dyn(true) && dyn('1') != dyn(1)
""".strip().split("\n"),
)
def test_true(text):
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("self.m['nope'] == 'x'", "no such key: nope"),
        ("self.l[5] == 'a'", "index out of bounds: 5"),
        ("self.a / 0 == 1", "division by zero"),
        ("int(self.s) == 1", "type conversion error from 'string' to 'int'"),
        ("9223372036854775807 + self.a > 0", "integer overflow"),
        ("dyn(self.a).foo == 1", "no such key: foo"),
        ("self.l.all(x, int(x) > 1)", "type conversion error from 'string' to 'int'"),
        ("optional.none().value() == 1", "optional.none() dereference"),
    ],
)
def test_no_value(text, message):
    with pytest.raises(EvalError, match=message.replace("(", r"\(").replace(")", r"\)")):
        value(text)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("self.nope == 1", "1:5", "undefined field 'nope'"),
        ("self.a + 1 > 'x'", "1:12", "found no matching overload for '_>_' applied to '(int, string)'"),
        ("foo(self.a)", "1:4", "undeclared reference to 'foo' (in container '')"),
        ("self.a.b", "1:7", "type 'int' does not support field selection"),
        ("self.s.size(1)", "1:12", "found no matching overload for 'size' applied to 'string.(int)'"),
        ("1 +* 2", "1:4", "Syntax error: extraneous input '*' expecting {'[', '{', '(', '.'"),
        ("self.a > 1)", "1:11", "Syntax error: extraneous input ')' expecting <EOF>"),
        ("self.a and self.b", "1:8", "Syntax error: mismatched input 'and' expecting <EOF>"),
        ("(self.a", "1:8", "Syntax error: missing ')' at '<EOF>'"),
        ("self.a = 1", "1:8", "Syntax error: token recognition error at: '= '"),
        ("true ? 1 : 'a'", "1:6", "found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
        ("[1, 'a'] == []", "1:5", "expected type 'int' but found 'string'"),
        ("self.l.all(x, y > 1)", "1:15", "undeclared reference to 'y' (in container '')"),
        ("self.a.all(x, true)", "1:5", "expression of type 'int' cannot be range of a comprehension"),
        ("has(self)", "1:5", "invalid argument to has() macro"),
        ("self.s.matches('(')", "1:16", "invalid matches argument"),
        ("duration('x') > self.d", "1:10", "invalid duration argument"),
    ],
)
def test_what_does_not_compile(text, place, message):
    with pytest.raises(Issues) as caught:
        compiled(text, {"self": SELF})
    assert str(caught.value).startswith(f"ERROR: <input>:{place}: {message}")
    assert str(caught.value).endswith("^")


def test_loops_end():
    numbers = "[1,2,3,4,5,6,7,8,9,10]"
    text = "true"
    for variable in "abcdef":
        text = f"{numbers}.all({variable}, {text})"
    with pytest.raises(TooCostly):
        value(text)


def test_costs_grow_with_what_a_schema_allows():
    def bound(text):
        return upper_bound(compiled(text, {"self": SELF}))

    assert bound("self.a == 5") < 5
    assert bound("self.l.all(x, x == 'a')") < 100
    assert bound("self.l.all(x, self.l.all(y, x == y))") > 5 * bound("self.l.all(x, x == 'a')")
    assert bound("self.kind.matches('a*')") > 100_000
    assert bound("string(self.a) + 'x' == ''") == float("inf")
