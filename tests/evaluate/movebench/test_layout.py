import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.movebench.layout import check_id, content_of, read_list, why_no_id, with_entry


@pytest.mark.parametrize(
    "id", ["../secret", "a/b", "/etc/passwd", "a\\b", "..", ".", ".hidden", "", "C:thing", "a\0b", "x" * 151]
)
def test_an_id_never_leaves_its_folder(id, tmp_path):
    assert why_no_id(id)
    with pytest.raises(InputError):
        check_id(id)
    path = tmp_path / "single_track.txt"
    path.write_text(f"fine.mp4,text\n{id}.mp4,text\n", "utf-8")
    with pytest.raises(FileFormatError, match="line 2"):
        read_list(path)


def test_bad_lines_are_named(tmp_path):
    path = tmp_path / "single_track.txt"
    path.write_text("a.mp4,one\nb.mp4 two\n")
    with pytest.raises(FileFormatError, match=r"line 2 holds no comma"):
        read_list(path)
    path.write_text("a.mp4,one\n\nA.mp4,\na.MP4,two\n")
    with pytest.raises(FileFormatError, match=r"'a' stands in line 1 and again in line 4"):
        read_list(path)
    path.write_bytes(b"a.mp4,\xff\xfe\x00broken")
    with pytest.raises(FileFormatError, match="text"):
        read_list(path)
    path.write_bytes(b"")
    assert read_list(path) == {}


@pytest.mark.parametrize("id", ["a,b", "#a", " a", "a.mp4"])
def test_ids_that_a_list_could_not_hold(id):
    with pytest.raises(InputError, match="comma"):
        check_id(id)


def test_subjects_in_published_names():
    assert content_of("Pexels_3C_product_0") == "3C product"
    assert content_of("Pexels_roller_coaster_12") == "roller coaster"
    assert content_of("cat") is None
    assert content_of("my_cat") is None


def test_an_entry_replaces_its_line_and_nothing_else():
    text = "\ufeff# mine\r\na.mp4,one, two\r\n\r\nb.mp4,three\r\n"
    assert with_entry(text, "a", "new\nwords") == "# mine\na.mp4,new words\n\nb.mp4,three\n"
    assert with_entry(text, "c", "last").endswith("b.mp4,three\nc.mp4,last\n")
    assert with_entry("", "c", "") == "c.mp4,\n"


@given(st.lists(st.tuples(st.from_regex(r"[\w-]{1,9}", fullmatch=True), st.text(max_size=30)), max_size=8))
@pytest.mark.slow
def test_what_is_written_is_read(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("list") / "single_track.txt"
    text, expected = "# head\n", {}
    for id, caption in entries:
        if any("\ud800" <= letter <= "\udfff" for letter in caption):
            continue
        text = with_entry(text, id, caption)
        expected[id] = " ".join(caption.split())
    path.write_text(text, "utf-8")
    assert read_list(path) == expected
