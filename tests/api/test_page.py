"""The built page is served by name, with a nonce of each answer's own, and nothing beside it."""

import gzip
from pathlib import Path

import pytest

from api.asking import ask, guarded
from talekeeper.api import page
from talekeeper.api.page import mount_page

SCRIPT = "console.log('a tale');\n" * 200


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text('<meta name="nonce" content="__TK_NONCE__"><b>page</b>')
    (folder / "assets" / "main-a1b2.js").write_text(SCRIPT)
    (folder / "assets" / "face.woff2").write_bytes(b"wOF2")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def an_app(folder: Path):
    app = guarded()
    mount_page(app, folder)
    return app


@pytest.mark.req("S5")
@pytest.mark.parametrize("path", ["/", "/c/3f2b8c1e", "/index.html", "/no/such/page.js"])
async def test_every_address_that_is_not_a_file_shows_the_page_with_a_nonce(built: Path, path: str):
    answer = await ask(an_app(built), "GET", path)
    policy = answer.headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert answer.status == 200
    assert answer.body.decode() == f'<meta name="nonce" content="{nonce}"><b>page</b>'
    assert len(nonce) >= 20
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_under_a_path_the_page_names_its_files_from_there(built: Path):
    (built / "index.html").write_text('<script src="./assets/main.js" nonce="__TK_NONCE__">')
    for base in ("", "/tales"):
        app = guarded(**({"public_url": f"https://tales.example{base}/"} if base else {}))
        mount_page(app, built, base_path=base)
        for path in ("/", "/c/3f2b8c1e", f"{base}/c/3f2b8c1e", base or "/"):
            answer = await ask(app, "GET", path)
            assert f'src="{base}/assets/main.js"' in answer.body.decode()
        assert (await ask(app, "GET", f"{base}/assets/main-a1b2.js")).body.decode() == SCRIPT


async def test_assets_are_kept_by_the_browser_for_good(built: Path):
    answer = await ask(an_app(built), "GET", "/assets/main-a1b2.js")
    assert answer.body.decode() == SCRIPT
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_assets_are_sent_zipped_to_whom_takes_that(built: Path):
    answer = await ask(
        an_app(built), "GET", "/assets/main-a1b2.js", ("accept-encoding", "gzip, br")
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(answer.body).decode() == SCRIPT


async def test_a_file_without_a_hash_in_its_name_is_asked_for_again(built: Path):
    first = await ask(an_app(built), "GET", "/favicon.svg")
    again = await ask(
        an_app(built), "GET", "/favicon.svg", ("if-none-match", first.headers["etag"])
    )
    assert (first.status, first.headers["cache-control"]) == (200, "no-cache")
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/api", "/api/nothing", "/assets/gone.js", "/assets/"])
async def test_what_is_missing_under_api_and_assets_is_a_problem(built: Path, path: str):
    answer = await ask(an_app(built), "GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")


@pytest.mark.req("S7")
@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/..%5c..%5csecret.txt",
        "//etc/passwd",
        "/assets//etc/passwd",
        "/secret.txt%00.js",
    ],
)
async def test_no_path_leads_out_of_the_page(built: Path, path: str):
    answer = await ask(an_app(built), "GET", path)
    assert b"secret" not in answer.body
    assert b"root:" not in answer.body


async def test_a_link_in_the_build_is_not_followed(built: Path):
    (built / "assets" / "link.txt").symlink_to(built.parent / "secret.txt")
    assert (await ask(an_app(built), "GET", "/assets/link.txt")).status == 404


async def test_the_page_takes_no_posts(built: Path):
    answer = await ask(an_app(built), "POST", "/", ("content-type", "application/json"))
    assert answer.status == 405


async def test_a_head_request_has_the_same_headers(built: Path):
    assert (await ask(an_app(built), "HEAD", "/")).status == 200


async def test_without_a_build_the_page_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page, "page_folder", lambda: None)
    app = guarded()
    mount_page(app)
    answer = await ask(app, "GET", "/")
    assert answer.status == 503
    assert b"make run" in answer.body
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
