import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.movebench import annotate, check, export_cases, open_benchmark


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_everything_exported_is_what_it_was(published, tmp_path):
    assert export_cases(published, tmp_path / "copy") == 3
    before, after = files(published), files(tmp_path / "copy")
    assert {name: after[name] for name in after if not name.endswith(".txt")} == {
        name: before[name] for name in before if not name.endswith(".txt")
    }
    assert open_benchmark(tmp_path / "copy").digest == open_benchmark(published).digest
    assert check(tmp_path / "copy") == []


def test_chosen_cases_in_the_pure_layout(published, tmp_path):
    annotate(published, ["Pexels_big_cat_7"], {"category": "zoom", "tags": ["cat", "fur"]})
    for number, chosen in enumerate(({"categories": ["zoom"]}, {"tags": ["fur"]}, {"ids": ["Pexels_big_cat_7"]})):
        out = tmp_path / f"{number}"
        assert export_cases(published, out, language="en", mode="single", **chosen) == 1
        assert sorted(files(out)) == [
            "en/first_frame/Pexels_big_cat_7.jpg",
            "en/single_track.txt",
            "en/track/single/Pexels_big_cat_7_tracks.npy",
            "en/track/single/Pexels_big_cat_7_visibility.npy",
            "en/video/Pexels_big_cat_7.mp4",
        ]
    export_cases(published, tmp_path / "noted", ids=["Pexels_big_cat_7"], annotations=True)
    assert open_benchmark(tmp_path / "noted").cases[0].annotations == {"tags": ["cat", "fur"]}


def test_refusals_leave_nothing_behind(published, tmp_path):
    with pytest.raises(InputError, match="not among the 3 cases"):
        export_cases(published, tmp_path / "out", ids=["other"])
    with pytest.raises(InputError, match="none of the 3 cases fits"):
        export_cases(published, tmp_path / "out", tags=["other"])
    (published / "en/first_frame/Pexels_3C_product_1.jpg").unlink()
    with pytest.raises(FileFormatError, match=r"Pexels_3C_product_1.jpg: no such file"):
        export_cases(published, tmp_path / "out", mode="single")
    assert [path.name for path in tmp_path.iterdir()] == ["MoveBench"]
    with pytest.raises(InputError, match="exists already"):
        export_cases(published, published)
    with pytest.raises(InputError, match="the benchmark itself"):
        export_cases(published, published, overwrite=True)
