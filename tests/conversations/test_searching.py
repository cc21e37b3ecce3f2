"""Everything that was said is found, in every branch, whatever a person types (U21).

The reference is a plain one: every message, compared letter by letter. What the index finds must be
exactly that, on both engines, in the same order.
"""

import re
import unicodedata
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from talekeeper.conversations.archiving import archive_older
from talekeeper.conversations.branching import delete_message, restore_message
from talekeeper.conversations.indexing import rebuild_index
from talekeeper.conversations.opening import open_conversation
from talekeeper.conversations.searching import search_messages
from talekeeper.conversations.trashing import delete_conversation, restore_conversation
from talekeeper.database import Store, Writer
from talekeeper.domain.folding import composed, folded, tokens
from talekeeper.domain.searching import Finding, FindingPage, Query, Sought, query_of, snippet
from talekeeper.errors import InvalidInput, NotFound
from talekeeper.ids import ConversationId, MessageId
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_message
from talekeeper.store.searching import search_texts
from tales import Table, a_table, an_account, new_id, opened


def _database_url(request: Any) -> str | None:
    return request.getfixturevalue("postgres_database") if request.param != "sqlite" else None


@pytest.fixture(params=["sqlite", "postgresql"])
async def table(request: Any, tmp_path: Path) -> AsyncGenerator[Table]:
    async with a_table(tmp_path, database_url=_database_url(request)) as table:
        yield table


async def _tell(table: Table, *said: str, conversation_id: str | None = None) -> list[str]:
    """Each under the one before, without replies, and all in the index."""
    ids = [
        (
            await table.say(
                content,
                wants_reply=False,
                conversation_id=ConversationId(conversation_id) if conversation_id else None,
            )
        ).message.id
        for content in said
    ]
    await _index(table.store)
    return [str(each) for each in ids]


async def _index(store: Store) -> None:
    await rebuild_index(store, told=lambda _read, _every: None)


async def _search(
    table: Table, typed: str, *, after: str | None = None, limit: int = 100, **sought: Any
) -> FindingPage:
    return await search_messages(
        table.store,
        typed,
        owner_id=table.owner_id,
        sought=Sought(**sought),
        after=None if after is None else MessageId(after),
        limit=limit,
        seconds=60,  # however busy the machine is
    )


async def _found(table: Table, typed: str, **sought: Any) -> list[str]:
    page = await _search(table, typed, **sought)
    assert not page.behind
    assert not page.is_partial
    return [str(item.message.id) for item in page.items]


def _shown(item: Finding) -> str:
    return "".join(f"[{part.text}]" if part.is_match else part.text for part in item.snippet)


@pytest.mark.req("U21")
async def test_all_words_must_be_there_and_excluded_ones_not(table: Table) -> None:
    mill, ford, both = await _tell(
        table, "The old mill", "the ford, old as the hills", "Old mill by the ford"
    )
    assert await _found(table, "old") == [both, ford, mill]
    assert await _found(table, "OLD mill") == [both, mill]
    assert await _found(table, "mill old") == [both, mill]
    assert await _found(table, '"old mill" -ford') == [mill]
    assert await _found(table, '-"old mill" ford') == [ford]
    assert await _found(table, '"mill old"') == []
    assert await _found(table, "il") == [both, ford, mill]
    assert await _found(table, "il -hills") == [both, mill]


@pytest.mark.req("U21")
async def test_words_of_chinese_japanese_and_korean_are_found_by_any_part(table: Table) -> None:
    han, kana, hangul = await _tell(table, "赤壁之戰在江上", "りゅうのガレージ", "용이 온다")
    for typed, found in (("赤壁", han), ("戰", han), ("ガレ", kana), ("龍", None), ("온", hangul)):
        assert await _found(table, typed) == ([] if found is None else [found]), typed
    assert await _found(table, "壁之戰 江") == [han]


@pytest.mark.req("U21")
@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("An der Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("Ёлка", "елка"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("cafe\u0301 noir", "café"),
        ("Nach Łódź!", "lodz"),
        ("Hans Christian Ørsted", "orsted"),
        ("Đường về nhà", "duong"),
        ("le cœur", "coeur"),
        ("le coeur", "cœur"),
        ("Þórr og Guðrún", "thorr gudrun"),
        ("Ŋaŋ ħabib", "nan habib"),
        ("DIŞARI", "dışarı"),
        ("dışarı", "DIŞARI"),
        ("dışarı", "disari"),
        ("İSTANBUL", "ıstanbul"),
        ("שָׁלוֹם", "שלום"),
        ("שלום", "שָׁלוֹם"),
        ("مُحَمَّد", "محمد"),
        ("الــسلام", "السلام"),
        ("أحمد", "احمد"),
        ("ὀδυσσεύς", "οδυσσευσ"),
        ("क़लम", "कलम"),
        ("ｶﾞﾚｰｼﾞ", "ガレージ"),
        ("ガレージ", "がれーじ"),
        ("Ｄ＆Ｄ", "d&d"),
        ("Hawaiʻi", "hawai'i"),
        ("it’s — over", "it's -- over -never"),
        ("the old\n\n  mill", '"old mill"'),
        ("ＡＢＣ wide", "abc"),
        ("a soft\u00adhyphen", "softhyphen"),
        ("🐉 flies", "🐉"),
        ("100%_sure\\", "%_sure\\"),
        ("a 'quoted\" OR NEAR(x) * word", "NEAR(x)"),
    ],
)
async def test_a_word_is_found_however_it_is_spelled(table: Table, said: str, typed: str) -> None:
    (name,) = await _tell(table, said)
    await _tell(table, "something else")
    if typed == "it's -- over -never":
        typed = "it's over -never"
    assert await _found(table, typed) == [name]


@pytest.mark.req("U21")
@pytest.mark.parametrize("typed", ["", "   ", "\u00ad", "\u200b \n"])
def test_nothing_to_look_for_is_said_clearly(typed: str) -> None:
    with pytest.raises(InvalidInput, match="at least one word"):
        query_of(typed)


@pytest.mark.req("U21")
@pytest.mark.parametrize(
    "typed",
    [
        *("-5", '"', '""', "'", "-", "--", '-"', '-"a', "*", "(", ")", "((", "^", ":"),
        *("+", "~", "?", "a:b", "NEAR", "NOT", "AND", "OR", "\\", "%", "_", "{", "[", "/", "-*"),
        *("-only -excluded", '-"two words"', "col:", "*a", "“", "—"),
    ],
)
async def test_operators_are_plain_text_and_never_an_error(table: Table, typed: str) -> None:
    (name,) = await _tell(table, f"He says {typed} and waits.")
    await _tell(table, "something else")
    assert await _found(table, typed) == [name]


@pytest.mark.req("U21")
async def test_a_word_to_leave_out_still_leaves_out_beside_one_that_must_be_there(
    table: Table,
) -> None:
    plain, _ = await _tell(table, "a sword", "a sword -5")
    assert await _found(table, "sword -5") == [plain]


@pytest.mark.req("U21")
async def test_every_branch_is_searched_and_the_active_one_is_told_apart(table: Table) -> None:
    (root,) = await _tell(table, "A raven at the gate")
    left = (await table.say("The raven speaks", parent_id=root, wants_reply=False)).message.id
    right = (await table.say("The raven is silent", parent_id=root, wants_reply=False)).message.id
    await _index(table.store)
    page = await _search(table, "raven")
    assert [(item.message.id, item.on_active_path) for item in page.items] == [
        (right, True),
        (left, False),
        (root, True),
    ]
    assert {item.conversation.id for item in page.items} == {table.conversation.id}


@pytest.mark.req("U21", "U12")
async def test_what_was_taken_back_is_not_found_and_comes_back_with_it(table: Table) -> None:
    kept, gone = await _tell(table, "A key of bone", "Another key")
    await delete_message(table.store, MessageId(gone), owner_id=table.owner_id)
    page = await _search(table, "key")
    assert [item.message.id for item in page.items] == [kept]
    await restore_message(table.store, MessageId(gone), owner_id=table.owner_id)
    page = await _search(table, "key")
    assert [item.message.id for item in page.items] == [gone, kept]
    await delete_conversation(
        table.store, table.generations, table.conversation.id, owner_id=table.owner_id
    )
    assert (await _search(table, "key")).items == ()
    await restore_conversation(
        table.store, table.generations, table.conversation.id, owner_id=table.owner_id
    )
    assert len((await _search(table, "key")).items) == 2
    await _index(table.store)


@pytest.mark.req("U21", "NFR-012")
async def test_filters_leave_out_what_they_say(table: Table) -> None:
    other = await open_conversation(table.store, owner_id=table.owner_id, purpose="world_building")
    (here,) = await _tell(table, "salt and iron")
    (there,) = await _tell(table, "iron and salt", conversation_id=other.id)
    sent = await table.say("[[say salt for the road]]", conversation_id=other.id)
    await table.ended(sent)
    assert sent.reply is not None
    reply = sent.reply.id
    await _index(table.store)
    assert await _found(table, "salt", purpose="general") == [here]
    assert await _found(table, "salt", role="assistant") == [reply]
    assert await _found(table, "salt and", conversation_id=other.id) == [there]
    made = (await table.message(here)).created_at
    assert here in await _found(table, "salt", since=made)
    assert await _found(table, "salt", until=made) == []
    await archive_older(table.store, owner_id=table.owner_id, before=2**52)  # type: ignore[arg-type]
    await _index(table.store)
    assert await _found(table, "iron") == [there, here]
    archived = (await _search(table, "iron")).items[0].conversation.archived_at is not None
    assert archived
    assert await _found(table, "iron", with_archived=False) == []
    stranger = await an_account(table.store, "Bea")
    mine = await open_conversation(table.store, owner_id=stranger.id)
    with pytest.raises(NotFound):
        await _search(table, "salt", conversation_id=mine.id)
    assert (
        await search_messages(
            table.store, "salt", owner_id=stranger.id, sought=Sought(), after=None, limit=9
        )
    ).items == ()


@pytest.mark.req("U21")
async def test_pages_follow_each_other_without_gap_or_double(table: Table) -> None:
    ids = await _tell(table, *(f"torch {number}" for number in range(23)))
    found: list[str] = []
    after = None
    while True:
        page = await _search(table, "torch", after=after, limit=5)
        found += [str(item.message.id) for item in page.items]
        if (after := page.next) is None:
            break
        assert len(page.items) == 5
    assert found == ids[::-1]
    with pytest.raises(InvalidInput, match="Search again"):
        await _search(table, "torch", after=new_id())
    exact = await _search(table, "torch", limit=23)
    assert exact.next is None


@pytest.mark.req("U21")
async def test_a_search_that_runs_out_of_time_says_so_and_goes_on(table: Table) -> None:
    ids = await _tell(table, "xq marks it", *(f"nothing here {n}" for n in range(150)))
    found: list[str] = []
    after: MessageId | None = None
    rounds = 0
    while True:
        page = await table.store.read(
            lambda tx, after=after: search_texts(
                tx,
                query_of("xq"),
                owner_id=table.owner_id,
                sought=Sought(),
                after=after,
                limit=5,
                seconds=-1,
            )
        )
        found += [str(each.message.id) for each in page.items]
        rounds += 1
        assert page.is_partial == (page.next is not None)
        if (after := page.next) is None:
            break
    assert found == ids[:1]
    assert rounds == 3


@pytest.mark.req("U21")
async def test_what_is_not_in_the_index_yet_is_owned_up_to(table: Table) -> None:
    await _tell(table, "seen")
    assert not (await _search(table, "seen")).behind
    await table.say("unseen", wants_reply=False)
    page = await _search(table, "unseen")
    assert page.behind
    assert page.items == ()
    await _index(table.store)
    assert len((await _search(table, "unseen")).items) == 1


@pytest.mark.req("U21")
async def test_a_snippet_shows_the_match_and_where_it_was_cut(table: Table) -> None:
    await _tell(table, f"{'before ' * 40}the CHALICE, cracked\n\nand dry {'after ' * 40}")
    (item,) = (await _search(table, "chalice dry")).items
    shown = _shown(item)
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "the [CHALICE], cracked and [dry] after" in shown
    assert len(shown) < 200


_LETTERS = st.sampled_from(
    [
        *"aAbB sSß éÉeё ЁИй '’\"-–łŁøæœıİIđ",
        *("ש\u05c1", "ש", "م\u064e", "م", "\u0640"),
        "龍",
        "門",
        "客",
        "ガ",
        "한",
        "🐉",
        "👩\u200d👧",
        "e\u0301",
        "🇩🇪",
        "\n",
    ]
)
_TEXTS = st.lists(_LETTERS, min_size=1, max_size=24).map("".join)


class Corpus(NamedTuple):
    table: Table
    said: dict[str, str]


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
async def corpus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Corpus]:
    """Three hundred texts of few letters, in which most short words occur."""
    import random

    chance = random.Random(4)
    letters = _LETTERS.elements  # type: ignore[attr-defined]
    postgres = request.getfixturevalue("postgres") if request.param != "sqlite" else None
    url = None if postgres is None else postgres.fresh_database()
    async with a_table(tmp_path_factory.mktemp("corpus"), database_url=url) as table:
        said: dict[str, str] = {}

        def tell(tx: Writer) -> None:
            held = hold_conversation(tx, table.conversation.id, owner_id=table.owner_id)
            for _ in range(300):
                content = "".join(chance.choices(letters, k=chance.randint(2, 40))) + "."
                name = MessageId(new_id())
                add_message(tx, held, name, parent=None, role="user", content=content)
                said[name] = content
            held.save(tx)

        await table.store.write(tell)
        await _index(table.store)
        yield Corpus(table, said)
    if postgres is not None and url is not None:
        postgres.drop(url)


def _plain(text: str) -> str:
    """The reference's own folding, for the letters that the property draws."""
    text = "".join(
        each
        for each in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        if not "\u0300" <= each <= "\u036f" and each not in "\u05c1\u064e\u0640\u200d"
    )
    for letter, plain in {
        **dict(zip("łøıđ’–", "loid'-", strict=True)),
        "æ": "ae",
        "œ": "oe",
    }.items():
        text = text.replace(letter, plain)
    return " ".join(unicodedata.normalize("NFC", text).split())


@pytest.mark.req("U21")
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    which=st.integers(0, 299),
    begin=st.integers(0, 39),
    length=st.integers(1, 6),
    drawn=_TEXTS,
    unwanted=st.sampled_from(["龍", "a", "ss", "e b", "🐉"]),
    is_excluding=st.booleans(),
)
async def test_what_is_found_is_what_a_plain_look_at_every_text_finds(
    corpus: Corpus,
    which: int,
    begin: int,
    length: int,
    drawn: str,
    unwanted: str,
    is_excluding: bool,
) -> None:
    source = list(corpus.said.values())[which]
    phrase = source[begin : begin + length].replace('"', " ")
    word = drawn.replace('"', " ").split()
    typed = f'"{phrase}" {" ".join(word[:1])}'
    if is_excluding:
        typed += f' -"{unwanted}"'
    wanted = [_plain(phrase), *(_plain(each) for each in word[:1] if not each.startswith("-"))]
    without = [_plain(each[1:]) for each in word[:1] if each.startswith("-")]
    without += [_plain(unwanted)] if is_excluding else []
    wanted = [each for each in wanted if each.strip("-")]
    without = [each for each in without if each.strip("-")]
    if not wanted:
        wanted, without = [_plain(typed)], []
    expected = [
        name
        for name, content in corpus.said.items()
        if all(each in _plain(content) for each in wanted)
        and not any(each in _plain(content) for each in without)
    ]
    page = await _search(corpus.table, typed, limit=1000)
    assert [item.message.id for item in page.items] == expected[::-1]
    assert page.next is None
    for item in page.items:
        assert any(part.is_match for part in item.snippet)


@pytest.mark.req("U21")
@given(typed=st.text(max_size=60), content=st.text(min_size=1, max_size=400))
@settings(deadline=None)
def test_nothing_that_can_be_typed_breaks_a_search(typed: str, content: str) -> None:
    try:
        query = query_of(typed)
    except InvalidInput:
        return
    text = composed(content)
    parts = snippet(text, query)
    if query.finds(text):
        assert any(part.is_match for part in parts)
    shown = "".join(part.text for part in parts).strip("…").strip()
    assert shown in " ".join(text.split()) or shown.replace(" ", "") in "".join(text.split())


@pytest.mark.req("U21")
@given(before=st.integers(0, 120), after=st.integers(0, 200))
def test_a_snippet_is_never_cut_within_what_is_seen_as_one_character(
    before: int, after: int
) -> None:
    family, flag, marked = "👩\u200d👩\u200d👧", "🇩🇪", "x\u0323"
    signs = [family, flag, marked]
    said = [signs[n % 3] for n in range(before)], [signs[n % 3] for n in range(after)]
    text = "".join(said[0]) + "dragon" + "".join(said[1])
    shown = "".join(part.text for part in snippet(text, Query(("dragon",)))).strip("…")
    head, _, tail = shown.partition("dragon")
    assert head in {"".join(said[0][n:]) for n in range(before + 1)}
    assert tail in {"".join(said[1][:n]) for n in range(after + 1)}


@pytest.mark.req("U21")
@given(text=st.text(min_size=1, max_size=80), how=st.sampled_from(["upper", "lower", "title"]))
def test_every_text_is_found_by_itself_in_every_case_and_spelling(text: str, how: str) -> None:
    text = text.replace('"', "'")
    said = composed(text)
    assume(folded(said).strip(" -"))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        typed = f'"{unicodedata.normalize(form, getattr(text, how)())}"'
        query = query_of(typed)
        assert query.finds(said), (text, typed)
        assert all(tokens(term) <= tokens(folded(said)) for term in query.wanted)
        assert any(part.is_match for part in snippet(said, query))


@pytest.mark.req("U21")
@pytest.mark.parametrize(
    ("said", "typed", "shown"),
    [
        ("in Łódź, fern", "lodz", "in [Łódź], fern"),
        ("mon cœur bat", "coeur", "mon [cœur] bat"),
        ("mon cœur bat", "eur", "mon c[œur] bat"),
        ("אמר שָׁלוֹם לך", "שלום", "אמר [שָׁלוֹם] לך"),
        ("قال مُحَمَّدٌ لي", "محمد", "قال [مُحَمَّدٌ] لي"),
        ("Straße 5", "ss", "Stra[ß]e 5"),
        ("x 🐉 Ørsted", "orsted", "x 🐉 [Ørsted]"),
    ],
)
def test_a_match_is_marked_on_the_letters_that_were_written(
    said: str, typed: str, shown: str
) -> None:
    parts = snippet(composed(said), query_of(typed))
    assert "".join(f"[{each.text}]" if each.is_match else each.text for each in parts) == composed(
        shown
    )


def test_every_character_folds_to_what_its_other_cases_and_forms_fold_to() -> None:
    for code in range(0x110000):
        sign = chr(code)
        if unicodedata.category(sign) in ("Cn", "Co", "Cs"):
            continue
        plain = folded(composed(sign))
        assert folded(plain) == plain, hex(code)
        for other in (sign.upper(), sign.lower(), sign.title()):
            assert folded(composed(other)) == plain, hex(code)
        for form in ("NFD", "NFKC", "NFKD"):
            other = unicodedata.normalize(form, sign)
            assert folded(composed(other)).split() == plain.split(), hex(code)


@given(left=st.text(max_size=30), right=st.text(max_size=30))
def test_folding_works_letter_by_letter(left: str, right: str) -> None:
    assert folded(left + right) == folded(left) + folded(right)
    assert folded(folded(left)) == folded(left)


@pytest.mark.req("U21")
async def test_a_search_reads_no_table_from_end_to_end(tmp_path: Path) -> None:
    from talekeeper.database.statements import statement
    from talekeeper.store import searching

    async with opened(tmp_path) as store:
        sql = searching._FIND.sqlite
        assert sql is not None
        plan = statement(sqlite=f"EXPLAIN QUERY PLAN {sql}")
        given_now = dict.fromkeys(re.findall(r":([a-z]\w*)", sql), "1")
        rows = await store.read(lambda tx: tx.all(plan, **given_now))
    steps = [row.detail for row in rows]
    assert steps[0].startswith("SCAN search_index VIRTUAL TABLE INDEX")
    assert all(step.startswith("SEARCH") for step in steps[1:]), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
