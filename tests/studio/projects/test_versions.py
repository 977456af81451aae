"""Which versions are kept."""

from motionloom.studio.projects import versions
from motionloom.studio.projects.versions import State, superfluous

HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_800_000_000.0


def kept(files, **options):
    gone = superfluous(files, NOW, **options)
    return [number for number, *_ in files if number not in gone]


def test_the_newest_two_hundred_stay():
    files = [(number, NOW - 500 + number, 100) for number in range(1, 201)]
    assert kept(files) == list(range(1, 201))


def test_of_older_ones_the_last_of_each_hour_stays():
    old = [(number, NOW - 10 * DAY + number * HOUR / 4, 100) for number in range(1, 101)]
    recent = [(number, NOW - 500 + number, 100) for number in range(101, 301)]
    left = [number for number in kept(old + recent) if number <= 100]
    assert 24 <= len(left) <= 27
    assert left[-1] == 100
    hours = {int((NOW - 10 * DAY + number * HOUR / 4) // HOUR) for number in range(1, 101)}
    assert len(hours) == len(left)


def test_after_a_month_the_last_of_each_day_stays():
    old = [(number, NOW - 90 * DAY + number * HOUR, 100) for number in range(1, 241)]
    recent = [(number, NOW - 500, 100) for number in range(241, 441)]
    assert 10 <= len([number for number in kept(old + recent) if number <= 240]) <= 11


def test_large_versions_go_sooner_but_never_the_newest_twenty():
    files = [(number, NOW - 500 + number, 64 * 2**20) for number in range(1, 101)]
    assert kept(files) == list(range(81, 101))


def test_thinning_removes_files(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "KEEP_ALL", 25)
    (tmp_path / "versions").mkdir()
    for number in range(1, 61):
        state = State(number, "2026-01-01T00:00:00.000Z", "x", {"canvas": {}}, {})
        versions.path_of(tmp_path, number).write_bytes(state.dumps())
    versions.thin(tmp_path)
    left = versions.numbers(tmp_path)
    assert left[-25:] == list(range(36, 61))
    assert len(left) <= 27
    assert versions.newest(tmp_path)[0].version == 60


def test_a_file_with_the_number_of_another_is_damaged(tmp_path):
    (tmp_path / "versions").mkdir()
    for number, inside in ((1, 1), (2, 7)):
        state = State(inside, "2026-01-01T00:00:00.000Z", "x", {"canvas": {}}, {})
        versions.path_of(tmp_path, number).write_bytes(state.dumps())
    state, damaged = versions.newest(tmp_path)
    assert (state.version, damaged) == (1, [2])


def test_the_list_is_read_from_the_beginning_of_each_file(tmp_path, monkeypatch):
    (tmp_path / "versions").mkdir()
    for number in range(1, 4):
        mask = "data:image/png;base64," + "A" * 100_000
        motion = {"canvas": {}, "instructions": [{"mask": mask}] * number}
        state = State(number, "2026-01-01T00:00:00.000Z", f'a "quoted","settings":{{ name {number}', motion, {"x": 1})
        versions.path_of(tmp_path, number).write_bytes(state.dumps())
    whole = versions.path_of(tmp_path, 2).read_bytes()
    versions.path_of(tmp_path, 2).write_bytes(whole[:-100])
    found = versions.headers(tmp_path)
    assert [(each.version, each.num_instructions) for each in found] == [(3, 3), (1, 1)]
    assert found[0].name == 'a "quoted","settings":{ name 3'
