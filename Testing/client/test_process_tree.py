"""A child and all that it starts end together."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from LungNoduleSegLib.client.process_tree import ProcessTree, is_alive
from Testing.client.fakes import gone

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups")

SLEEP = "import time; time.sleep(120)"


@pytest.fixture
def start(tmp_path):
    trees = []

    def run(code: str, **options) -> ProcessTree:
        command = [sys.executable, "-c", f"import os, subprocess, sys, time\n{code}"]
        trees.append(ProcessTree(command, environment=os.environ, folder=tmp_path, **options))
        return trees[-1]

    yield run
    for tree in trees:
        tree.stop(0.0)
        tree.stdout.close()
        tree.stderr.close()


def test_input_output_and_exit_code(start, tmp_path):
    tree = start("print(sys.stdin.readline(), os.getcwd(), os.getpid()); sys.exit(7)")
    assert tree.exit_code is None
    assert tree.send("ä b")
    said = tree.stdout.read().decode()
    assert said.split() == ["ä", "b", *str(tmp_path).split(), str(tree.pid)]
    assert tree.wait(10) and tree.exit_code == 7
    assert not tree.send("too late")


def test_a_polite_end_is_waited_for(start):
    tree = start("sys.stdin.read(); time.sleep(0.2); sys.exit(5)")
    tree.stop(20.0)
    assert tree.exit_code == 5


def test_an_impolite_one_is_killed_with_its_descendants(start):
    # A grandchild in the group, a great-grandchild out of it.
    tree = start(f"""
inner = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True); " \\
    "print(p.pid, flush=True); " + {SLEEP!r}
p = subprocess.Popen([sys.executable, "-c", inner])
print(p.pid, flush=True)
time.sleep(120)
""")
    pids = [int(tree.stdout.readline()), int(tree.stdout.readline())]
    begun = time.monotonic()
    tree.stop(0.1)
    assert time.monotonic() - begun < 2.0 and tree.exit_code == -9
    assert all(gone(pid) for pid in (*pids, tree.pid))


def test_what_a_child_leaves_behind_ends_with_it(start):
    tree = start(f"print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True)")
    pid = int(tree.stdout.readline())
    assert tree.wait(10) and gone(pid)


def test_others_are_left_alone(start):
    other = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        start("time.sleep(120)").stop(0.0)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_alive(start):
    assert is_alive(os.getpid())
    done = subprocess.Popen([sys.executable, "-c", ""])
    assert is_alive(done.pid)
    done.wait()
    assert not is_alive(done.pid)


def test_a_program_that_is_none_raises(tmp_path):
    with pytest.raises(OSError):
        ProcessTree([str(tmp_path / "absent")], environment={}, folder=tmp_path)
