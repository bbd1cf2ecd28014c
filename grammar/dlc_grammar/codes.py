"""What `dlc explain E00xx` prints: for each syntax code a text, a wrong and a right program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """`wrong` gives exactly this code, `right` gives none; both are "" where no program can "
    "show it."""

    code: str
    title: str
    text: str
    wrong: str = ""
    right: str = ""


def _net(body: str) -> str:
    return f"net A()(x: float[B, 8]) -> float[B, 8] {{\n  {body}\n}}\n"


_DEEP = "(" * 101 + "1" + ")" * 101

_ALL = (
    Explanation(
        "E0001",
        "the file cannot be read",
        "The path names nothing, a folder, or a file that you may not read.",
    ),
    Explanation(
        "E0002",
        "the file is not UTF-8 text",
        "dlc reads UTF-8 text. A file with zero bytes, in UTF-16 or in an 8-bit code page is "
        "refused, because "
        "guessing an encoding changes what the file says. Save it as UTF-8; a byte order mark "
        "does no harm.",
    ),
    Explanation(
        "E0003",
        "the file is too large",
        "A model written by hand has some hundred lines. The limit keeps a wrong file, such as "
        "weights given in "
        "place of a model, from keeping the compiler busy. Split a generated model into several "
        "files.",
    ),
    Explanation(
        "E0004",
        "a character has no meaning",
        "The text has a character that the language does not use, such as a backslash or an "
        "arrow pasted from a "
        "document. Write operators with the keys of the keyboard: `->`, `*`, `<=`.",
        "const a = 2 \u00d7 3\n",
        "const a = 2 * 3\n",
    ),
    Explanation(
        "E0005",
        "a name has a letter outside a-z",
        "Names become names in generated code and keys of checkpoints, so they are plain ASCII: "
        "letters, digits "
        "and `_`. It also means that two names that look the same are the same. Comments and "
        "strings may hold any text.",
        "const gr\u00f6\u00dfe = 3\n",
        "const size = 3\n",
    ),
    Explanation(
        "E0006",
        "typographic quotes",
        "Word processors turn straight quotes into curly ones. Strings are written with the "
        "straight double quote.",
        "const a = \u201csame\u201d\n",
        'const a = "same"\n',
    ),
    Explanation(
        "E0007",
        "an invisible character",
        "A no-break space, a zero-width character or a mark that reverses the direction of the "
        "text looks like "
        "nothing or like a space. Such characters can make a program read differently from what "
        "it does.",
        "const a\u00a0= 3\n",
        "const a = 3\n",
    ),
    Explanation(
        "E0008",
        "a string is not closed",
        "A string starts and ends with a double quote on one line. For a line break inside write `\\n`.",
        'const a = "same\n',
        'const a = "same"\n',
    ),
    Explanation(
        "E0009",
        "single quotes",
        "There is one kind of string, in double quotes.",
        "const a = 'same'\n",
        'const a = "same"\n',
    ),
    Explanation(
        "E0010",
        "an unknown escape",
        'Inside a string a backslash starts an escape: `\\n`, `\\t`, `\\r`, `\\"`, '
        "`\\\\`, or `\\u` with four hex digits.",
        'const a = "C:\\data"\n',
        'const a = "C:\\\\data"\n',
    ),
    Explanation(
        "E0011",
        "a number with too many digits",
        "Compile-time integers are exact, of any size, but no size of a network needs hundreds of digits.",
        "const a = " + "9" * 301 + "\n",
        "const a = 10 ** 300\n",
    ),
    Explanation(
        "E0012",
        "a float that is too large",
        "A float holds up to about 1.8e308. A larger literal would silently become infinite.",
        "const a = 1e999\n",
        "const a = 1e308\n",
    ),
    Explanation(
        "E0013",
        "a malformed number",
        "Numbers are decimal. A float has digits on both sides of its point; `_` may separate digits.",
        "const a = .5\n",
        "const a = 0.5\n",
    ),
    Explanation(
        "E0014",
        "a separator that is not needed",
        "Statements and settings follow each other with nothing but white space between them.",
        _net("y = x; return y"),
        _net("y = x\n  return y"),
    ),
    Explanation(
        "E0015",
        "another language's arrow",
        "There is one arrow, `->`: for the pipe and before a result type.",
        _net("return x |> relu"),
        _net("return x -> relu"),
    ),
    Explanation(
        "E0016",
        "another language's operator",
        "Logic is written in words, `and`, `or`, `not`; powers are `**`; equality is `==` and `!=`.",
        "const a = true && false\n",
        "const a = true and false\n",
    ),
    Explanation(
        "E0017",
        "assignment with an operator",
        "`x += 1` suggests that a value changes. Values do not; a name can be given a new value.",
        _net("x += 1.0\n  return x"),
        _net("x = x + 1.0\n  return x"),
    ),
    Explanation(
        "E0018",
        "`True`, `False`, `None`",
        "The constants are `true`, `false` and `none`.",
        "const a = True\n",
        "const a = true\n",
    ),
    Explanation(
        "E0019",
        "an unclosed bracket",
        "The message points at the bracket that was opened, not at the place where the reader "
        "noticed. For braces "
        "it goes by the indentation.",
        _net("y = relu(x\n  return y"),
        _net("y = relu(x)\n  return y"),
    ),
    Explanation(
        "E0020",
        "brackets that do not match",
        "Each bracket is closed by its own kind.",
        "const a = (1 + 2]\n",
        "const a = (1 + 2)\n",
    ),
    Explanation(
        "E0021",
        "a closing bracket too many",
        "Nothing is open where this bracket closes.",
        _net("return x }"),
        _net("return x"),
    ),
    Explanation(
        "E0022",
        "nested too deeply",
        "Brackets may nest 100 levels, expressions and bodies 150. What is deeper than that was "
        "written by a program, which can as well give the parts names.",
        f"const a = {_DEEP}\n",
        "const a = (1)\n",
    ),
    Explanation(
        "E0023",
        "a setting without `=`",
        "Settings and keyword arguments are written `name = value`.",
        "train t { epochs: 10 }\n",
        "train t { epochs = 10 }\n",
    ),
    Explanation(
        "E0024",
        "a body without braces",
        "Bodies are written in `{ }`; line breaks and indentation have no meaning.",
        "fn f(x: float): return x\n",
        "fn f(x: float) { return x }\n",
    ),
    Explanation(
        "E0025",
        "the condition after the value",
        "A value that depends on a condition is written `if c then a else b`, with the condition first.",
        _net("y = x if training else relu(x)\n  return y"),
        _net("y = if training then x else relu(x)\n  return y"),
    ),
    Explanation(
        "E0026",
        "chained comparisons",
        "`1 < a < 3` means different things in different languages, so it has to be written out.",
        _net("require 1 < B < 3\n  return x"),
        _net("require 1 < B and B < 3\n  return x"),
    ),
    Explanation(
        "E0027",
        "another language's declaration",
        "Functions are declared with `fn`, layers with `block`, whole networks with `net`; "
        "values with `name = value`.",
        "def f(x: float) { return x }\n",
        "fn f(x: float) { return x }\n",
    ),
    Explanation(
        "E0028",
        "a missing arrow",
        "Since line breaks have no meaning, a name after a value starts a new statement. Where "
        "that makes no sense, "
        "an arrow is probably missing.",
        _net("return x relu"),
        _net("return x -> relu"),
    ),
    Explanation(
        "E0029",
        "`=` in place of `==`",
        "A single `=` gives a value to a name; two compare.",
        _net("require B = 3\n  return x"),
        _net("require B == 3\n  return x"),
    ),
    Explanation(
        "E0030",
        "`lambda`",
        "Functions have names, so that messages and generated code can use them. Declare one "
        "and pass its name.",
        "const f = lambda x: x\n",
        "fn f(x: float) { return x }\n",
    ),
    Explanation(
        "E0031",
        "another language's statement",
        "There is no `while`, `try`, `print` and so on. Checking a model always ends, because "
        "`for` runs over "
        "a list and run-time loops are `scan`.",
        _net("while training { x = relu(x) }\n  return x"),
        _net("for i in range(3) { x = relu(x) }\n  return x"),
    ),
    Explanation(
        "E0032",
        "a statement outside of a body",
        "The top of a file holds declarations and sections, a section holds settings; "
        "statements stand in the "
        "bodies of `net`, `block`, `fn`, `step` and `eval`. A constant of the file is declared "
        "with `const`.",
        "blocked = 3\n",
        "const blocked = 3\n",
    ),
    Explanation(
        "E0033",
        "a declaration inside a body",
        "Networks, blocks and imports stand at the top of a file.",
        _net("block C()(y: float[B]) { return y }\n  return x"),
        "block C()(y: float[B]) { return y }\n" + _net("return x"),
    ),
    Explanation(
        "E0034",
        "an `else` without `if`",
        "A second condition is written `else if`; `else` follows the `}` of its `if`.",
        _net("if training { x = relu(x) } elif B == 3 { x = tanh(x) }\n  return x"),
        _net("if training { x = relu(x) } else if B == 3 { x = tanh(x) }\n  return x"),
    ),
    Explanation(
        "E0035",
        "an incomplete `if` expression",
        "As an expression, `if` needs both branches: `if c then a else b`. As a statement it needs a body.",
        _net("y = if training then x\n  return y"),
        _net("y = if training then x else relu(x)\n  return y"),
    ),
    Explanation(
        "E0036",
        "a type on a value",
        "Parameters and constants may state a type. The type of a value follows from its "
        "expression; `dlc view` shows it.",
        _net("y: float = x\n  return y"),
        _net("y = x\n  return y"),
    ),
    Explanation(
        "E0037",
        "a value is missing",
        "An operator, `=` or keyword promised a value, and something else follows.",
        "const a =\nconst b = 3\n",
        "const a = 2\nconst b = 3\n",
    ),
    Explanation(
        "E0038",
        "a reserved word as a name",
        "Words that start statements cannot be given a value. After a dot and as keyword "
        "arguments they can be used.",
        _net("state = x\n  return state"),
        _net("memory = x\n  return memory"),
    ),
    Explanation(
        "E0039",
        "a missing comma",
        "Arguments, list items and parameters are separated by commas.",
        "const a = [1, 2 3]\n",
        "const a = [1, 2, 3]\n",
    ),
    Explanation(
        "E0040",
        "something unexpected",
        "The text cannot go on like this; the message lists what could come, where that is short.",
        "const a = 1 2\n",
        "const a = 1\n",
    ),
    Explanation(
        "E0041",
        "the text ends too early",
        "The last declaration is not complete.",
        "from std.attention import\n",
        "from std.attention import rope\n",
    ),
    Explanation(
        "E0042",
        "a weight without type or distribution",
        "A `param`, `state` or `sample` states its type and, after `~`, the distribution of its "
        "first values.",
        _net("param w: float[8] = zeros()\n  return x * w"),
        _net("param w: float[8] ~ zeros()\n  return x * w"),
    ),
    Explanation(
        "E0043",
        "nothing is done with a value",
        "A statement that only computes a value has no effect. Give the value a name or return it.",
        _net("relu(x)\n  return x"),
        _net("y = relu(x)\n  return y"),
    ),
    Explanation(
        "E0044",
        "assignment to a part",
        "Only names can be given a value; lists and tensors cannot be changed in place.",
        _net("x[0] = 3.0\n  return x"),
        _net("y = where(x > 0.0, x, 3.0)\n  return y"),
    ),
    Explanation(
        "E0045",
        "a pipe that needs parentheses",
        "The pipe binds loosest. In a condition, a slice or the list of a `for` it stands in parentheses.",
        _net("for y in x -> split(2) { x = y }\n  return x"),
        _net("for y in (x -> split(2)) { x = y }\n  return x"),
    ),
    Explanation(
        "E0046",
        "a string with a prefix",
        "Strings have no `f`, `r` or `b` before them.",
        _net('require B == 3, f"not {B}"\n  return x'),
        _net('require B == 3, "not {B}"\n  return x'),
    ),
    Explanation(
        "E0047",
        "another language's comment",
        "Comments start with `#`; `##` starts a doc comment.",
        _net("// the identity\n  return x"),
        _net("# the identity\n  return x"),
    ),
    Explanation(
        "E0048",
        "a positional argument after a keyword argument",
        "After a named argument the position of an unnamed one says little.",
        _net("return dropout(p=0.1, x)"),
        _net("return dropout(x, p=0.1)"),
    ),
    Explanation(
        "E0049",
        "another language's import",
        "Names are imported one by one: `from module import Name, Other`.",
        "import std.attention\n",
        "from std.attention import rope\n",
    ),
)

EXPLANATIONS: dict[str, Explanation] = {e.code: e for e in _ALL}
