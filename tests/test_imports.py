import subprocess
import sys

import pytest

import motionloom

HEAVY = ("torch", "diffusers", "transformers", "numpy", "scipy", "cv2", "av", "PIL", "pydantic", "rich.console")


def loaded_after(code):
    """Which heavy modules a fresh interpreter holds after running ``code``."""
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stderr.split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import motionloom") == []


def test_help_loads_only_what_it_prints_with():
    found = loaded_after("from motionloom.cli import run\nassert run(['--help']) == 0")
    assert set(found) <= {"rich.console"}
    found = loaded_after("from motionloom.cli import run\nassert run(['generate', '--help']) == 0")
    # typer looks into pydantic for the types of options.
    assert set(found) <= {"rich.console", "pydantic"}


def test_every_public_name_is_there():
    for name in motionloom.__all__:
        assert getattr(motionloom, name) is not None, name
        assert name in dir(motionloom)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = motionloom.nonsense


@pytest.mark.parametrize(
    "code",
    [
        "import motionloom as ml; f = ml.draw",
        "import motionloom.draw; import motionloom as ml; f = ml.draw",
        "from motionloom.draw import side_by_side; import motionloom as ml; f = ml.draw",
        "from motionloom import draw as f; import motionloom as ml",
    ],
)
def test_draw_is_function_and_module_at_once(code):
    script = f"{code}\nassert callable(f) and callable(ml.draw)\nfrom motionloom.draw import contact_sheet\n"
    script += "import motionloom.draw as module\nassert module.contact_sheet is contact_sheet\n"
    script += "import numpy as np\nclip = ml.draw(np.zeros((8, 8, 3), np.uint8), ml.Tracks.empty(2, (8, 8), 16))\n"
    script += "assert clip.num_frames == 2 and ml.draw(clip, ml.Tracks.empty(2, (8, 8), 16)).size == (8, 8)"
    subprocess.run([sys.executable, "-c", script], check=True)
