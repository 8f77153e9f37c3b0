"""What a supervisor must stay free of, so that a confined process starts fast; what bubblewrap is told."""

import subprocess
import sys
from pathlib import Path

import intramural
from intramural.domain.confinement import Confinement, Destination
from intramural.walls import bubblewrap
from intramural.walls.launch import python_view

SOURCE = Path(intramural.__file__).parent.parent


def test_a_supervisor_loads_the_standard_library_only_and_little_of_it():
    script = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import intramural.walls.begin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert {each for each in loaded if each.startswith("intramural.domain")} == set()
    assert loaded & {"pydantic", "asyncio", "json", "typing", "enum", "contextlib", "socket", "re", "pathlib"} == set()


def test_bubblewrap_is_told_to_share_nothing():
    words = bubblewrap.options(Confinement(), {"NAME": "value"})

    for word in ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"):
        assert word in words
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert "--share-net" not in words
    assert not {"--bind", "--dev-bind"} & set(words)


def test_the_view_holds_what_was_named():
    wish = Confinement(read_only=("/opt/model",), run_directory="/home/a/run", devices=("/dev/nvidia0",))
    words = " ".join(bubblewrap.options(wish, {}))

    assert "--ro-bind /opt/model /opt/model" in words
    assert "--bind /home/a/run /home/a/run" in words
    assert "--dev-bind-try /dev/nvidia0 /dev/nvidia0" in words
    assert "--chdir /home/a/run" in words


def test_destinations_do_not_change_what_bubblewrap_is_told():
    """They are the proxy's business; the network stays empty."""
    assert bubblewrap.options(Confinement(egress=(Destination(host="a.example"),)), {}) == bubblewrap.options(Confinement(), {})


def test_the_walls_know_better_than_what_was_given():
    environment = bubblewrap.environment_inside(
        {"HOME": "/root", "https_proxy": "x", "A": "b"}, run="/job", scratch="/scratch", proxy=True
    )

    assert environment["HOME"] == "/job"
    assert environment["https_proxy"] == environment["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    assert environment["A"] == "b"


def test_the_view_of_python_names_no_folder_twice():
    view = python_view()

    assert str(Path(intramural.__file__).parent) in view or any(str(SOURCE).startswith(each) for each in view)
    assert not any(one != other and one.startswith(f"{other}/") for one in view for other in view)
