"""A model's file while it is being fetched: `NAME.part`, and beside it what it is a part of.

A process that writes to it holds a lock on it, so that two never fetch one model at once; the lock
goes with the process, however that ends. Every `_STEP` bytes what came is synced and noted, and after
a power cut only what was noted is built upon.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from talekeeper.errors import ModelBeingAdded, ModelNotAdded, NoRoomForModel
from talekeeper.providers.gguf.keeping import Checked, write_whole
from talekeeper.syncing import sync_file, sync_folder

_STEP: Final = 16 << 20
RESERVE: Final = 256 << 20
"""Bytes that stay free on the disk, which the database may stand on."""
_READ: Final = 1 << 20
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PartFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a part is of. `stored` bytes are on the disk. `validator` is the server's mark of the file
    that they are from. `is_wanted`: the server fetches the rest without being asked again.
    """

    address: str
    size: int | None = None
    sha256: str | None = None
    checked: Checked | None = None
    validator: str | None = None
    stored: int = 0
    is_wanted: bool = False


def part_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.part"


def facts_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.part.json"


def part_facts(folder: Path, name: str) -> PartFacts | None:
    """What is noted of the part of that name, None where there is none."""
    try:
        return msgspec.json.decode(facts_path(folder, name).read_bytes(), type=PartFacts)
    except (OSError, msgspec.MsgspecError):
        return None


def note_facts(folder: Path, name: str, facts: PartFacts) -> None:
    write_whole(facts_path(folder, name), msgspec.json.encode(facts))


def parts_in(folder: Path) -> dict[str, PartFacts]:
    """Every part in `folder`, by the name of its model."""
    found: dict[str, PartFacts] = {}
    for path in sorted(folder.glob("*.part.json")):
        name = path.name.removesuffix(".part.json")
        facts = part_facts(folder, name)
        if facts is not None:
            found[name] = facts
    return found


def discard_part(folder: Path, name: str) -> None:
    """The part is not there any more. Raises ModelBeingAdded while a process writes to it."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(part_path(folder, name), os.O_RDWR)
        try:
            _lock(descriptor)
            part_path(folder, name).unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    facts_path(folder, name).unlink(missing_ok=True)


class Part:
    """The part of one model, locked by this process until it is closed.

    Its methods that write may be called on any thread, one at a time.
    """

    def __init__(
        self, folder: Path, name: str, facts: PartFacts, *, reserve: int = RESERVE
    ) -> None:
        """Open the part, or begin it. What it held of another file is dropped.

        Raises ModelBeingAdded when another process, or another task of this one, writes to it.
        """
        self.folder = folder
        self.name = name
        self.path = part_path(folder, name)
        self._reserve = reserve
        self._guard = Lock()
        self._file = _opened(self.path)
        before = part_facts(folder, name)
        if before is not None and _is_same(before, facts):
            self.facts = msgspec.structs.replace(
                facts,
                size=facts.size or before.size,
                sha256=facts.sha256 or before.sha256,
                checked=facts.checked or before.checked,
                validator=before.validator,
                stored=before.stored,
            )
        else:
            self.facts = facts
        self.done = min(self.facts.stored, os.fstat(self._file).st_size)
        os.ftruncate(self._file, self.done)
        os.lseek(self._file, self.done, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._noted = self.done
        self._is_over = False
        self.note()

    def note(self, **changes: object) -> None:
        """What is known of the part is written down, and what came of it is on the disk."""
        self.facts = msgspec.structs.replace(self.facts, **changes)
        if self.done != self.facts.stored:
            sync_file(self._file)
            self.facts = msgspec.structs.replace(self.facts, stored=self.done)
        self._noted = self.done
        note_facts(self.folder, self.name, self.facts)

    def begin_again(self) -> None:
        """Nothing has come yet."""
        with self._guard:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            self.done = self._hashed = 0
            self._hash = hashlib.sha256()
            self.note(validator=None)

    def check_room(self) -> None:
        """There is room for what is still to come. Raises NoRoomForModel, which says how much is
        missing.
        """
        to_come = max(0, (self.facts.size or 0) - self.done)
        free = _free(self.folder)
        if free < to_come + self._reserve:
            raise no_room(to_come + self._reserve - free)

    def write(self, data: bytes) -> None:
        """`data` is added. Raises NoRoomForModel when the disk is full, OSError."""
        with self._guard:
            if self._file < 0:
                return
            if _free(self.folder) < self._reserve + len(data):
                raise self._full()
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
                if self._hashed == self.done:
                    self._hash.update(data)
                    self._hashed += len(data)
                self.done += len(data)
                if self.done - self._noted >= _STEP:
                    self.note()
            except OSError as error:
                if error.errno in _FULL:
                    raise self._full() from error
                raise ModelNotAdded(
                    f"The disk did not take the model's file: {error.strerror}. Look at the disk, then "
                    "add the model again."
                ) from error

    def digest(self, done_so_far: Callable[[int], None], is_given_up: Callable[[], bool]) -> str:
        """The SHA-256 of the whole part: what was not hashed while it came is read again."""
        while self._hashed < self.done and not is_given_up():
            data = os.pread(self._file, _READ, self._hashed)
            if not data:
                break
            self._hash.update(data)
            self._hashed += len(data)
            done_so_far(self._hashed)
        return self._hash.hexdigest()

    def sync(self) -> None:
        """All that came is on the disk, in a file that its owner alone may read."""
        os.fchmod(self._file, 0o600)
        sync_file(self._file)

    def close(self) -> None:
        """What came is noted, and the lock is given back."""
        with self._guard:
            if self._file < 0:
                return
            try:
                if not self._is_over:
                    self.note()
            except OSError:
                pass  # the disk is full: what was noted before is what is built upon
            finally:
                os.close(self._file)
                self._file = -1

    def become(self, target: Path) -> None:
        """The part is the whole file, and stands at `target`."""
        self._is_over = True
        self.path.replace(target)
        facts_path(self.folder, self.name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def discard(self) -> None:
        """The part is gone from the disk."""
        self._is_over = True
        self.path.unlink(missing_ok=True)
        facts_path(self.folder, self.name).unlink(missing_ok=True)

    def _full(self) -> NoRoomForModel:
        to_come = max(_STEP, (self.facts.size or 0) - self.done)
        return no_room(max(_STEP, to_come + self._reserve - _free(self.folder)))


def no_room(missing: int) -> NoRoomForModel:
    amount = f"{missing / 1e9:.1f} GB" if missing >= 1e9 else f"{max(1, missing // 10**6)} MB"
    return NoRoomForModel(
        f"There is not enough room on the disk for this model: {amount} more are "
        "needed. Nothing of it was kept. Free some space, then add it again."
    )


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _is_same(before: PartFacts, facts: PartFacts) -> bool:
    is_same_hash = before.sha256 is None or facts.sha256 in (None, before.sha256)
    return before.address == facts.address and is_same_hash


def _opened(path: Path) -> int:
    """The part's file, locked. A file that was renamed while the lock was taken is let go."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ModelBeingAdded(
            "This model is being added already. Wait until that is done, or stop it."
        ) from None
