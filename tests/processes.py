"""Start Python functions and vocctl commands in processes of their own that a test can kill.

The processes are forked from a server that has imported torch and vocctl once: each starts in milliseconds instead of seconds.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["typer", "rich.console", "vocctl.tasks.train_seg", "vocctl.tasks.train_cls", "vocctl.tasks.train_adv", "vocctl.tasks.attack",
     "vocctl.tasks.evaluate_seg", "vocctl.tasks.evaluate_cls"]
)  # fmt: skip


@dataclass(frozen=True)
class StartedProcess:
    """A running or finished process. Its output is in files."""

    process: ForkServerProcess
    output: Path
    errors: Path

    def wait(self, timeout: float = 120) -> int:
        """The exit code; -n if signal n ended it. A process that runs longer than timeout seconds is killed: an error."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"a process still runs after {timeout} s: {self.stderr}")
        return self.process.exitcode

    def is_running(self) -> bool:
        return self.process.exitcode is None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def send_to_group(self, number: signal.Signals) -> None:
        """To the process and to the processes that it has started."""
        os.killpg(self.process.pid, number)

    @property
    def stdout(self) -> str:
        return self.output.read_text()

    @property
    def stderr(self) -> str:
        return self.errors.read_text()


def run_vocctl(*args: str) -> int:
    """One vocctl command in this process. Returns its exit code."""
    from vocctl.cli.app import main

    return main(list(args))


def start(
    function: Callable[..., int | None], *args: str, folder: Path, environment: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> StartedProcess:  # fmt: skip
    """Call function(*args) in a new process, which is a process group of its own.

    folder: for the files with its output. environment: variables to set beside those of this process. threads: of torch, as many
    as this process uses if None. The exit code is what the function returns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{function.__name__}-{len(list(folder.glob('*.stderr')))}"
    output, errors = folder / f"{name}.stdout", folder / f"{name}.stderr"
    variables = {**os.environ, **(environment or {})}
    process = CONTEXT.Process(
        target=_run, args=(function, args, variables, os.getcwd(), output, errors, threads or torch.get_num_threads())
    )
    errors.touch()
    process.start()
    return StartedProcess(process, output, errors)


def _run(
    function: Callable[..., int | None], args: tuple[str, ...], environment: dict[str, str], cwd: str, output: Path,
    errors: Path, threads: int,
) -> None:  # fmt: skip
    os.setpgid(0, 0)
    for path, stream in ((output, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    os.fsync = lambda file: None  # as in conftest.py; the files survive the death of a process
    torch.set_num_threads(threads)
    sys.exit(function(*args))


def start_ranks(
    function: Callable[..., int | None], *args: str, num_processes: int, folder: Path,
    environment: Mapping[str, str] | None = None,
) -> list[StartedProcess]:  # fmt: skip
    """Call function(*args) in several processes, with the variables that torchrun sets and one thread each."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    shared = {"WORLD_SIZE": str(num_processes), "LOCAL_WORLD_SIZE": str(num_processes), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": port, **(environment or {})}  # fmt: skip
    return [
        start(
            function, *args, folder=folder, threads=1, environment=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in range(num_processes)
    ]
