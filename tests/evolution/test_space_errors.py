"""What is wrong with a space, and where: every message points at the word that is to blame."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.errors import InputError
from lossgen.evolution.space_reader import find_space, read_space

OK = 'start: "n" start -> neg | "s" -> score | C -> const\nC: /x/\n'
MACRO = 'start: "w" start -> m | "s" -> score\n'

# In each text the word to blame stands between « and ».
MISTAKES = [
    # names and operands
    ('// sqr\nstart: "sqr" start -> «sqr» | "score" -> score', "unknown operator 'sqr'"),
    ('start: "add" start -> «add» | "score" -> score', "add takes 2 operands, not 1"),
    ('start: "score neg" start start -> «neg» | "score" -> score', "neg takes 1 operand, not 2"),
    ('start: "s" -> score\n     | «"neg"» start', "an alternative of start has no alias"),
    ("start: «C»\nC: /x/", "an alternative of start has no alias"),
    ('«start»: "s" -> score |', "an alternative of start has no alias"),
    ('start: "s" -> score | "score" -> «score»', "score stands twice among the alternatives of start"),
    ('start: e | «e»\ne: "s" -> score', "e stands twice among the alternatives of start"),
    ('start: "neg" «nowhere» -> neg', "the type nowhere is not defined"),
    ('start: "s" -> score | «NUM» -> const', "the terminal NUM is not defined"),
    ('start: "s" -> score | "0" -> «const»', "const takes one terminal, not 0"),
    ('start: "s" -> score\n«start»: "y" -> y_pred', "the type start is defined twice"),
    ('start: "s" -> score\n«X»: /start/', "the terminal X is never used"),
    # types
    ('«expr»: "s" -> score', "no type is called start"),
    ('start: "s" -> score\n«other»: "start" -> score', "other is never reached from start"),
    ('start: e | "e" -> score\n«e»: "neg" e -> neg | "add" start e -> add', "e never ends"),
    ('start: "s" -> score | a\n«a»: b\nb: a', "a never ends"),
    ('«start»: "neg" start -> neg', "nothing ends"),
    ("«start»: e\ne: e", "nothing ends"),
    (
        '«start»: "n" b -> neg\n' + "".join(f'{"b" * i}: "n" {"b" * (i + 1)} -> neg\n' for i in range(1, 11))
        + f'{"b" * 11}: "s" -> score',
        "the smallest loss has 12 levels",
    ),
    # roles
    ('start: e e e -> roles\n// y_real\ne: "y_real" -> «y_real» | "s" -> score', "y_real belongs to the label form"),
    ('start: e e e -> roles\ne: "m" e -> «m» | "s" -> score\n// def m(x) = x * y_real', "y_real belongs to the label"),
    ('start: e e e -> roles\ne: "mean" -> «mean_real»', "mean_real is for losses that people write"),
    ('start: "n" e -> neg | "s" -> score\ne: start start start -> «roles»', "roles make a whole loss"),
    ('start: e e e -> roles\ne: "n" «start» -> neg | "s" -> score', "a loss of three roles is no part of another"),
    # syntax
    ("start:\n  «->» ->", "unexpected '->'"),
    ('start: "s" -> «S»core', "unexpected 'S'"),
    ('start «"s"» -> score', "unexpected '\"s\"'"),
    ('start: «"»s -> score', "unexpected '\"'"),
    ('start: «(»"a" | "b") start -> neg | "s" -> score', "no groups, options or repetitions"),
    ('start: "n" start«+» -> neg', "no groups, options or repetitions"),
    ('«%»import common.NUMBER\nstart: "s" -> score', "imports, ignores and declares nothing"),
    # weights
    (OK + "//«weight» score", "not a weight"),
    (OK + "//   weight   score   «0»", "not a weight: 0"),
    (OK + "// weight score «1e400»", "not a weight: 1e400"),
    (OK + "// weight score «lots»", "not a weight: lots"),
    (OK + "// weight «add» 3", "no alternative is called add"),
    (OK + "// score\n// weight «scroe» 3", "no alternative is called scroe"),
    (OK + "// weight score 3\n// weight «score» 3", "the weight of score is said twice"),
    # constants
    (OK + "// «const» C", "not a distribution"),
    (OK + "// const C «cauchy»(0, 1)", "unknown distribution 'cauchy'"),
    (OK + "// const «uniform»(0)", "uniform takes 2 numbers, not 1"),
    (OK + "// const C uniform(0, «x»)", "not a finite number"),
    (OK + "// const C choice(1, «inf»)", "not a finite number"),
    (OK + "// const C «choice»()", "choice takes some numbers, not 0"),
    (OK + "// const C «uniform»(3, 1)", "nothing to draw"),
    (OK + "// const C «normal»(0, -1)", "nothing to draw"),
    (OK + "// const C «lognormal»(900, 1)", "nothing to draw"),
    (OK + "// const «D» uniform(0, 1)", "no constant is drawn from D"),
    ('start: "s" -> score // «const» uniform(0, 1)', "no constant is drawn from this"),
    (OK + "// const C uniform(0, 1)\n// «const» uniform(0, 1)", "no constant is drawn from this"),
    (OK + "// const C choice(1)\n// const «C» choice(2)", "the distribution of C is said twice"),
    # what would be without effect
    (OK + "// «weigth» score 2", "almost a weight"),
    (OK + "//«Weight» score 2", "almost a weight"),
    (OK + "// «weight»: score 2", "almost a weight"),
    (OK + "// «constant» uniform(0, 1)", "almost a const"),
    (OK + "// «cosnt» C uniform(0, 1)", "almost a const"),
    (MACRO + "// «define» m(x) = 2 * x", "almost a def"),
    # macros
    (MACRO + "// «def» m(x) is nothing", "not a macro"),
    (MACRO + "// def «relu»(x) = 2 * x", "'relu' has a meaning already"),
    (MACRO + "// def «int_pow»(x) = 2 * x", "'int_pow' has a meaning already"),
    (MACRO + "// def «M»(x) = 2 * x", "'M' cannot be an alias"),
    (MACRO + "// def «m»() = 2 * score", "the macro m has no parameter"),
    (MACRO + "// def m(«y_pred») = 2 * y_pred", "'y_pred' has a meaning already"),
    (MACRO + "// def m(x, «2») = 2 * x", "not a parameter"),
    (MACRO + "// def m(x, «x») = 2 * x", "the parameter x stands twice"),
    (MACRO + "// def m(a, «b») = 2 * a", "the parameter b is never used"),
    (MACRO + "// def m(x) = «x»", "the macro does nothing"),
    (MACRO + "// def m(x) = x * «sigmod»(x)", "unknown operator 'sigmod'"),
    (MACRO + "// def m(x) = x * «y»", "unknown variable 'y'"),
    (MACRO + "// def m(x) = x * sigmoid(x) «and» so on", "unexpected 'and'"),
    (MACRO + "// def m(x) = x *«»", "the text ends too early"),
    (MACRO + "// def m(x) =«»", "the macro has no body"),
    (MACRO + "// def m(x) = «loss» L(x) = x", "a macro's body is one expression"),
    (MACRO + "// def m(x) = «mean_fake» - x", "mean_fake is for losses that people write"),
    (MACRO + "// def m(x) = x * «m»(x)", "the macro m uses itself"),
    (MACRO + "// def m(x) = «later»(x)\n// def later(x) = 2 * x", "unknown operator 'later'"),
    (MACRO + "// def m(x) = 2 * x\n// def «m»(x) = 3 * x", "the macro m is said twice"),
    (MACRO + "// def m(x) = 2 * x\n// def «n»(x) = 3 * x", "the macro n is never used"),
    (MACRO + "// def «m»(x) = " + "x + " * 20 + "x", "the macro m has 41 nodes"),
    ('start: "w" start start -> «m» | "s" -> score // def m(x) = 2 * x', "m takes 1 operand, not 2"),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_mistake_is_said_with_its_place(marked: str, message: str, ends: str) -> None:
    before, rest = marked.split("«")
    word, after = rest.split("»")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    with pytest.raises(InputError) as caught:
        read_space((before + word + after).replace("\n", ends), "bad", "bad.lark")
    said = str(caught.value).split("\n")
    assert said[0].startswith(f"bad.lark, line {line}, column {column}: ")
    assert message in said[0]
    assert said[2].index("^") == 4 + min(column - 1, 59)
    assert said[1][said[2].index("^") :].startswith(word.rstrip())


@pytest.mark.parametrize(
    "comment", ["weights are 3", "eight of 9 hundred", "constants (of nature)", "define f by g(x) = 1"]
)
def test_comments_for_people_may_begin_alike(comment: str) -> None:
    read_space(OK + f"// {comment}\n", "own", "own.lark")


@settings(max_examples=150)
@given(data=st.data())
def test_mutilated_spaces_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    text = find_space(data.draw(st.sampled_from(["roles", "score", "taylor"]))).text + "// def m(a, b) = a * b\n"
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        put = data.draw(
            st.sampled_from(["", "\n", "|", "->", "// ", "def ", "const ", "(", ")", ",", "\0", "é", "y_real"])
        )
        text = text[:at] + put + text[at + cut :]
    try:
        read_space(text, "cut", "cut.lark")
    except InputError as error:
        assert str(error).startswith("cut.lark")
