"""The studio from Python: a server of its own, a project, a preview, a queued video with its progress, the result."""

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from motionloom.studio.client import StudioClient
from motionloom.studio.connection import StudioError
from motionloom.studio.schemas import GenerationSettings

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
data = tempfile.TemporaryDirectory(prefix="motionloom-example-", ignore_cleanup_errors=True)
command = ["studio", "--port", str(port), "--data-dir", data.name, "--device", "cpu", "--no-open"]
server = subprocess.Popen([sys.executable, "-m", "motionloom", *command], stdout=subprocess.DEVNULL)  # noqa: S603
try:
    studio = StudioClient(f"http://127.0.0.1:{port}")
    for _ in range(300):
        try:
            print("motionloom", studio.server().version)
            break
        except StudioError:
            time.sleep(0.1)

    # A photograph with a motion that ships with the package; create_project takes any picture.
    project = studio.start_example("rocket")
    project = studio.write_project(project, name="Lift-off", settings=GenerationSettings(model="warp", num_frames=25))

    folder = Path("out/examples")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "studio.preview.mp4").write_bytes(studio.preview(project.id, project.motion, max_side=256))
    print(studio.export_motion(project.id, folder / "studio.pth", "ati"))

    # What a larger model would receive of it, and where it would have trouble.
    received = studio.received(project.id, project.motion, GenerationSettings(model="wan-move-14b"))
    print(f"{received.model}: {received.num_tracks} tracks at {received.width}x{received.height}")
    for flag in received.flags:
        print(f"  {flag.instruction or 'all'}: {flag.message}")

    jobs = studio.submit(project.id, seeds=[1])
    (result,) = studio.wait(*jobs, on_progress=lambda job: print(f"  {job.state} {job.phase} {job.step}/{job.total}"))
    print(studio.download(result.id, folder / "studio.mp4"))
finally:
    server.terminate()
    server.wait(timeout=30)
    data.cleanup()
