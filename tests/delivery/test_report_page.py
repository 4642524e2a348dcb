"""The report page needs nothing but itself, and shows everything."""

import base64
import io
import re
from html.parser import HTMLParser

import av
import pytest

from blueprint_pipeline.delivery import report_page
from blueprint_pipeline.delivery.contact_sheet import build_contact_sheet, build_strip
from blueprint_pipeline.delivery.report_page import build_report
from blueprint_pipeline.render.preview import PREVIEW_STRIDE
from tests.delivery.report_case import report_facts, write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {
        camera: [write_video(folder / camera / f"{index}.mp4", index, frames=12 + 3 * index) for index in range(4)]
        for camera in ("scene", "wrist")
    }


@pytest.fixture(scope="module")
def page(videos):
    return build_report(report_facts(4, 6), videos).decode()


class Tags(HTMLParser):
    """Every start tag with its attributes, and whether tags nest."""

    def __init__(self):
        super().__init__()
        self.tags = []
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(page):
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    return parser.tags


def test_the_page_needs_no_network(page):
    """No address but data URIs and anchors; a content security policy forbids the rest."""
    for tag, attributes in parse(page):
        for name in ("src", "href", "srcset", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes[name][:80])
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(" not in page


def test_pictures_have_words_and_tables_have_headers(page):
    """Alt texts, labels, scopes, a language, one first heading."""
    tags = parse(page)
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in tags if tag == "video")
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in tags if tag == "th")
    assert [tag for tag, _ in tags].count("h1") == 1
    assert dict(tags)["html"] == {"lang": "en"}


def test_text_from_outside_is_escaped(page):
    """A message of a gate is text, whatever stands in it."""
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_tells_what_it_must(page):
    """Kept and rejected with measure and limit, cost, unknown cost, what did not run, licence, how to use it."""
    for words in (
        "of 6 attempted",
        "The dataset is not certified: of 35 checks 31 did not run (lerobot), 4 passed.",
        "<dt>Replay certificate</dt><dd>3 <small>of 4</small>",
        "Franka Panda (pick and place, and push)",
        "0.0093 to 0.0121 m",
        "at most 0.005 m",
        "51.0 US cents per 1,000 kept episodes",
        "no known price",
        "did not run",
        "CC-BY-4.0",
        "Google LLC",
        "bpp verify",
        "replay.py",
        "LeRobotDataset",
        "not measured",
    ):
        assert words in re.sub(r"\s+", " ", page), words


def test_objects_that_are_no_targets_are_named_with_the_reason(page):
    """As the terminal tells them."""
    assert "<strong>dinner plate</strong> (pick place): the gripper has no grasp of &lt;it&gt;" in page


def test_empty_cells_are_named_with_the_reason(page):
    """What is not in the data is told where what is in it is."""
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    assert re.search(r"object x start +1 +of 2 +bowl, left \(unreachable: 6 of 6 failed with plan_pick.no_path\)", text)


def test_objects_that_are_fixed_are_not_told_as_movable(page):
    movable, fixed = page.index("Objects that can move"), page.index("Objects that are fixed")
    assert movable < fixed < page.index("<strong>wobbly vase</strong>: it does not come to rest: it moved 90 mm")


def test_the_same_facts_give_the_same_page(page, videos):
    """Whatever was in memory before."""
    garbage = [bytes([index % 256]) * 150_000 for index in range(100)]
    del garbage[::2]
    assert build_report(report_facts(4, 6), videos).decode() == page


def test_nothing_rejected_and_nothing_known_of_cost(videos):
    """The page says so, instead of showing an empty table or a zero."""
    facts = report_facts(4, 4)
    cost = facts.cost.model_copy(update={"usd_per_kept_episode": None, "cpu_s_per_kept_episode": None, "stages": ()})
    page = build_report(facts.model_copy(update={"cost": cost, "gate_dots": (), "starts": (), "metrics": ()}), videos).decode()
    assert "Nothing: all 4 attempts passed every gate." in page
    assert "not known" in page


def test_very_many_episodes_show_no_stills(videos, monkeypatch):
    """The page does not grow without end."""
    monkeypatch.setattr(report_page, "MAX_STRIPS", 3)
    assert "image/jpeg" not in build_report(report_facts(4, 6), videos).decode()


def test_sheets_of_one_and_of_many_and_of_wide_videos(tmp_path):
    """One tile, more than fit, and another aspect ratio."""
    one = write_video(tmp_path / "a.mp4", 1, frames=4)
    wide = write_video(tmp_path / "b.mp4", 2, frames=4, width=192, height=108)
    assert build_contact_sheet([one])[4:8] == b"ftyp"
    assert build_contact_sheet([one] * 30) == build_contact_sheet([one] * 24)
    assert build_strip(wide)[:2] == b"\xff\xd8"


def test_the_page_says_how_fast_its_videos_run(page):
    """The time of the longest episode over that of the video which shows it."""
    own_s = (12 + 3 * 3) * PREVIEW_STRIDE / report_facts(4, 6).fps
    sheet = re.search(r"data:video/mp4;base64,([^\"]+)", page).group(1)
    with av.open(io.BytesIO(base64.b64decode(sheet))) as video:
        shown_s = video.duration / av.time_base
    assert f"at {own_s / shown_s:.3g} times their speed" in page
