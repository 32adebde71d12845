"""One run's directory: the only owner of its file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnncli.errors import RunError, WriteError
from cnncli.files import durable, folders
from cnncli.files.locks import alone
from cnncli.files.read import open_file, read_bytes, read_json
from cnncli.files.seal import sealed, unsealed
from cnncli.runs import documents, limits, metrics
from cnncli.runs.environment import environment
from cnncli.runs.lock import held, lock

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.runs.checkpoints import CheckpointStore

Status = Literal["running", "done", "interrupted", "failed"]
UPDATE_PATIENCE = 60.0
"""Seconds to wait for other processes that change run.json: each takes a few milliseconds."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
LONGEST_NAME = 100
"""Characters of a name, as a config may have them."""

RESTORE = "Restore the file from a copy, or remove the run's folder."
"""What to do about a file of a run that nothing writes again."""


class Run:
    """A run directory, `runs/<name>/<YYYYMMDD-HHMMSS[-k]>/`.

    Made by `Run.create` and opened by `Run.open`; `runs.find.find` turns what a user typed into one.

    Args:
        path: The directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.origins_file = path / "origins.json"
        self.record_file = path / "run.json"
        self.metrics_file = path / "metrics.jsonl"
        self.summary_file = path / "summary.txt"
        self.data_file = path / "data.json"
        self.proof_file = path / "proof.npz"
        self.checkpoints_dir = path / "checkpoints"
        self.tensorboard_dir = path / "tensorboard"
        self.export_dir = path / "export"
        self.replay_dir = path / "replay"
        self.workers_dir = path / "workers"
        self.report_file = path / "report.html"
        self.explore_file = path / "explore.html"
        self.lock_file = path / ".lock"
        self._record_lock_file = path / ".record.lock"

    @classmethod
    def create(cls, runs_dir: Path, name: str, config_text: str, record: Mapping[str, Any] | None = None) -> Run:
        """Make a new run directory with its config and run.json, all at once; an existing one is never touched.

        Args:
            runs_dir: Folder of all runs; made when missing.
            name: Name of the experiment.
            config_text: What config.yaml is to hold.
            record: Fields for run.json besides status, times, command, versions and git commit.

        Raises:
            RunError: If the name cannot be a folder's, or the disk refuses.
        """
        require_name(name)
        if not _is_unicode(runs_dir):
            raise RunError(
                f"cannot create a run in {runs_dir}: its name is not UTF-8, as TensorFlow needs it",
                "Rename the folder.",
            )
        started = datetime.now().astimezone()
        fields = {"name": name, "status": "running", "started": _iso(started), "ended": None}
        try:
            with _work_folder(runs_dir / name) as made:
                _fill(made, config_text, {**fields, **environment(), **(record or {})})
                return cls(_rename_to_free(made, started.strftime("%Y%m%d-%H%M%S")))
        except OSError as error:
            raise RunError(
                f"cannot create a run in {runs_dir / name}: {error.strerror}",
                "Check that the folder is writable and the disk is not full.",
            ) from error

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing run directory.

        Raises:
            RunError: If there is none at `path`.
        """
        run = cls(path)
        if not run.record_file.is_file():
            raise RunError(f"{path} is not a run directory: it has no run.json", "`cnn runs` lists the runs.")
        return run

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.path.absolute().parent.name

    @property
    def id(self) -> str:
        """The start, YYYYMMDD-HHMMSS, and a number where several runs began in one second."""
        return self.path.absolute().name

    @property
    def started(self) -> datetime:
        """When the run began, as run.json says; where that is damaged, when the directory was last changed."""
        with suppress(RunError):
            return self.started_of(self.record)
        return self.started_of({})

    @property
    def record(self) -> dict[str, Any]:
        """What run.json holds now.

        Raises:
            RunError: If it cannot be read.
        """
        try:
            document = self.read_json(self.record_file, limits.RECORD)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.record_file} cannot be read: {reason(error)}", RESTORE) from error
        record: dict[str, Any] = documents.checked(document, documents.RUN, str(self.record_file), RESTORE)
        metrics.require_primary(record, str(self.record_file), RESTORE)
        return record

    @property
    def status(self) -> Status:
        """The run's status; one that says running but has no living process is interrupted."""
        return self.status_of(self.record)

    def status_of(self, record: Mapping[str, Any]) -> Status:
        """Return the run's status, given what run.json holds."""
        status: Status = record.get("status", "failed")
        return "interrupted" if status == "running" and not self.locked else status

    def started_of(self, record: Mapping[str, Any]) -> datetime:
        """Return when the run began, given what run.json holds."""
        try:
            return datetime.fromisoformat(record["started"]).astimezone()
        except (ValueError, TypeError, KeyError, OverflowError, OSError):
            return datetime.fromtimestamp(self.path.stat().st_mtime).astimezone()

    @property
    def has_diverged(self) -> bool:
        """Whether its training met a number that is not finite: the evidence is kept."""
        return any(self.path.glob("diverged-step-*"))

    @property
    def locked(self) -> bool:
        """Whether a process holds the run now."""
        return held(self.lock_file)

    def update(self, **fields: Any) -> None:
        """Change fields of run.json as `change` does."""
        self.change(lambda _: fields)

    def change(self, fields_of: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
        """Change fields of run.json in one step; no other process changes it in between.

        A status other than running also sets the time of the end.

        Args:
            fields_of: Returns the new values of some fields, given what run.json holds.

        Returns:
            What run.json holds now.

        Raises:
            WriteError: If the disk refuses.
            RunError: If run.json cannot be read.
        """
        try:
            with alone(self._record_lock_file, UPDATE_PATIENCE):
                record = self.record
                fields = dict(fields_of(record))
                if "status" in fields:
                    ended = None if fields["status"] == "running" else _iso(datetime.now().astimezone())
                    fields.setdefault("ended", ended)
                self.write_json(self.record_file, record | fields)
        except OSError as error:
            raise WriteError(f"{self.record_file} cannot be written: {error.strerror or error}") from error
        return record | fields

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run while a block runs, and begin with removing what dead processes left in it.

        Raises:
            RunError: If another process holds it, saying which, or a folder of the run is none.
        """
        for folder in (self.checkpoints_dir, self.tensorboard_dir, self.export_dir, self.replay_dir):
            self.own(folder)
        with lock(self.lock_file):
            self.remove_leftovers()
            yield

    def remove_leftovers(self) -> None:
        """Remove the files and folders that dead processes did not finish."""
        for folder in (self.path, self.replay_dir, self.export_dir):
            if not folder.is_symlink() or folder == self.path:
                durable.remove_leftovers(folder)
        folders.remove_unfinished(self.export_dir)

    def own(self, folder: Path) -> Path:
        """Return one of the run's folders, which need not be there.

        Raises:
            RunError: If something else has its name: through a link, files would be changed that are not the run's.
        """
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            what = "a link" if folder.is_symlink() else "not a folder"
            raise RunError(
                f"{folder} is {what}: a run has a folder of its own there",
                "Remove it, or move the folder back; to keep a run on another disk, link the whole run.",
            )
        return folder

    def config(self, overrides: Iterable[str] = ()) -> Config:
        """Load config.yaml; raises ConfigError where it is not a valid config.

        Args:
            overrides: "a.b[0].c=value" texts, as `--set` takes them.
        """
        from cnncli.config.load import load

        try:
            open_file(self.config_file, follow=False).close()
        except FileNotFoundError:
            pass  # `load` says so.
        except OSError as error:
            raise RunError(f"{self.config_file} cannot be read: {reason(error)}") from error
        config = load(str(self.config_file), overrides)
        return config.model_copy(update={"origins": replace(config.origins, trained_in=self._trained_in())})

    def _trained_in(self) -> tuple[Path, ...]:
        """Return the folder of the config that was trained, and the one it was trained in."""
        with suppress(RunError):
            named = (self.record.get(key) for key in ("config_directory", "directory"))
            return tuple(Path(folder) for folder in named if isinstance(folder, str))
        return ()

    @cached_property
    def checkpoints(self) -> CheckpointStore:
        """The run's checkpoints."""
        from cnncli.runs.checkpoints import CheckpointStore

        return CheckpointStore(self.own(self.checkpoints_dir))

    def evaluation_file(self, split: str, checkpoint: str | None = None) -> Path:
        """Return the file of a split's evaluation, of another checkpoint than the best if one is named."""
        return self.path / f"evaluation-{_filed(split, checkpoint)}.json"

    def invariance_file(self, split: str, checkpoint: str | None = None) -> Path:
        """Return the file of a split's invariance profile, of another checkpoint than the best if one is named."""
        return self.path / f"invariance-{_filed(split, checkpoint)}.json"

    def predictions_file(self, split: str, checkpoint: str | None = None) -> Path:
        """Return the file of a split's predictions, of another checkpoint than the best if one is named."""
        return self.path / f"predictions-{_filed(split, checkpoint)}.csv"

    def read_bytes(self, file: Path, limit: int) -> bytes:
        """Return what one of the run's files holds.

        Args:
            file: The file.
            limit: Most bytes that it may have, one of `runs.limits`.

        Raises:
            OSError: If it cannot be read, is larger, or is a link or anything else than a regular file.
        """
        return read_bytes(file, limit, follow=False)

    def read_json(self, file: Path, limit: int = limits.DOCUMENT) -> Any:
        """Return the document that one of the run's files holds.

        Raises:
            OSError: As `read_bytes`.
            ValueError: If it is not JSON.
        """
        return read_json(file, limit, follow=False)

    def write_text(self, file: Path, text: str | bytes) -> None:
        """Write one of the run's files in one step: a reader sees the old or the new content.

        Raises:
            WriteError: If the disk refuses.
        """
        try:
            durable.replace_file(file, text)
        except OSError as error:
            raise WriteError(f"{file} cannot be written: {error.strerror or error}") from error

    def write_json(self, file: Path, document: Any) -> None:
        """Write a document as JSON like `write_text`; NaN and infinities become null."""
        self.write_text(file, durable.to_json(metrics.strict(document)))

    def write_sealed(self, file: Path, document: Mapping[str, Any]) -> None:
        """Write a document like `write_json`, with a checksum by which a later change is seen."""
        self.write_json(file, sealed(metrics.strict(document)))

    def origins(self) -> dict[str, str]:
        """Return where each value of the config came from, as `cnn train` was told; nothing where nobody wrote it.

        Raises:
            RunError: If it cannot be read.
        """
        hint = "Remove the file: then nothing is said of where values came from."
        try:
            document = self.read_json(self.origins_file, limits.RECORD)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(f"{self.origins_file} cannot be read: {reason(error)}", hint) from error
        found: dict[str, str] = documents.checked(document, documents.ORIGINS, str(self.origins_file), hint)
        return found

    def passport(self) -> dict[str, Any]:
        """Return what data.json holds.

        Raises:
            RunError: If it cannot be read.
        """
        try:
            document = self.read_json(self.data_file)
            documents.checked(document, documents.PASSPORT, str(self.data_file), RESTORE)
            found: dict[str, Any] = unsealed(document)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.data_file} cannot be read: {reason(error)}", RESTORE) from error
        return found

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add an epoch's line to metrics.jsonl and wait until it is on the disk; NaN becomes null.

        Raises:
            RunError: If the disk refuses.
        """
        metrics.append(self.metrics_file, line)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; a last line torn by a crash is left out.

        Raises:
            RunError: If another line is not JSON, or not what an epoch's line is.
        """
        return metrics.read(self.metrics_file)

    def truncate_metrics(self, epoch: int) -> None:
        """Drop the lines of epochs after `epoch`, in one step: a resumed run writes them again."""
        kept = [line for line in self.metrics() if line["epoch"] <= epoch]
        self.write_text(self.metrics_file, "".join(map(metrics.to_line, kept)))


def require_name(name: str) -> None:
    """Refuse what cannot be a run's name.

    Raises:
        RunError: If it could lead to another folder, or a config could not have it.
    """
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise RunError(
            f"invalid run name {name!r}",
            f"Use letters, digits, '_', '.' and '-', at most {LONGEST_NAME}, beginning with a letter or digit.",
        )


def reason(error: Exception) -> str:
    """Say in a few words why a file cannot be read."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _filed(split: str, checkpoint: str | None) -> str:
    """Return what the names of files say of an evaluation."""
    return split if checkpoint is None else f"{split}-{checkpoint}"


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _iso(time: datetime) -> str:
    """Return a time as run.json holds it."""
    return time.isoformat(timespec="milliseconds")


@contextmanager
def _work_folder(named: Path) -> Iterator[Path]:
    """Yield a folder for what is to be a run of a name."""
    with ExitStack() as stack:
        for is_last in (False, True):
            durable.make_directories(named)
            folders.remove_unfinished(named)
            try:
                made = stack.enter_context(folders.work_folder(named))
                break
            except FileNotFoundError:  # Whoever moves the last run of a name away removes its empty folder.
                if is_last:
                    raise
        yield made


def _fill(made: Path, config_text: str, record: Mapping[str, Any]) -> None:
    """Put into a directory what every run has, and wait until it is on the disk."""
    durable.write_file(made / "config.yaml", [config_text.encode()])
    durable.write_file(made / "run.json", [durable.to_json(metrics.strict(record)).encode()])
    durable.fsync_directory(made)


def _rename_to_free(made: Path, stamp: str) -> Path:
    """Rename a new directory to the first free of `stamp`, `stamp-2`, `stamp-3`, …."""
    for number in count(1):
        target = made.with_name(stamp if number == 1 else f"{stamp}-{number}")
        try:
            # A directory with something in it is never replaced, so of two processes one goes on to the next number.
            durable.rename(made, target)
        except OSError:
            if not target.exists():
                raise
            continue
        durable.fsync_directory(target.parent)
        return target
    raise AssertionError
