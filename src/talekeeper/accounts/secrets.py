"""Sealing providers' keys: AES-256-GCM under a master key that lies outside the data folder.

A copy of the data folder, or a backup, holds sealed keys and nothing to open them with. Each is
sealed for the record it belongs to, so a sealed key moved to another account's record does not
open. The sealed form is text: base64 of a version byte, the nonce and the ciphertext.
"""

import base64
import binascii
import os
import secrets
import stat
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from talekeeper.domain.connections import kind_of_server_connection
from talekeeper.errors import ConfigurationError, StoredKeyUnreadable
from talekeeper.ids import AccountId, ConnectionId
from talekeeper.syncing import sync_file, sync_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"


class MasterKey:
    """Seals and opens texts. It is never shown: its repr names only the file."""

    def __init__(self, key: bytes, path: Path) -> None:
        self._key = key
        self._path = path

    def __repr__(self) -> str:
        return f"MasterKey({str(self._path)!r})"

    @cached_property
    def _cipher(self) -> "AESGCM":
        # Slow to import, and many servers never hold a key.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)

    def seal(self, text: str, *, record_id: str) -> str:
        """`text` so that only this key opens it, and only for `record_id`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), record_id.encode())
        return base64.b64encode(_VERSION + nonce + sealed).decode()

    def unseal(self, sealed: str, *, record_id: str) -> str:
        """The text that was sealed for `record_id`. Raises StoredKeyUnreadable."""
        from cryptography.exceptions import InvalidTag

        try:
            whole = base64.b64decode(sealed, validate=True)
            if whole[:1] != _VERSION:
                raise ValueError
            nonce, body = whole[1 : 1 + _NONCE_BYTES], whole[1 + _NONCE_BYTES :]
            return self._cipher.decrypt(nonce, body, record_id.encode()).decode()
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise StoredKeyUnreadable from error


def key_record(owner_id: AccountId, connection_id: ConnectionId) -> str:
    """The record that the key of an account's connection is sealed for."""
    kind = kind_of_server_connection(connection_id)
    if kind is not None:
        # Keys were sealed so while an account had one connection of each kind.
        return f"provider_settings/{owner_id}/{kind}"
    return f"connections/{owner_id}/{connection_id}"


def open_master_key(path: Path) -> MasterKey:
    """The master key of `path`, made there when the file is missing.

    Raises ConfigurationError when it is there and cannot be used: making another in its place
    would lock every key that was sealed.
    """
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise ConfigurationError(
            f"The master key {path} cannot be made ({error.strerror}). Make its folder writable "
            "for this user, or name another file in TALEKEEPER_KEY_FILE."
        ) from error
    return read_master_key(path)


def read_master_key(path: Path) -> MasterKey:
    """The master key of `path`. Raises ConfigurationError when it is missing or cannot be used."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(1024)
    except OSError as error:
        raise ConfigurationError(
            f"The master key {path} cannot be read ({error.strerror}). Make it readable for this "
            "user, or name another file in TALEKEEPER_KEY_FILE."
        ) from error
    if mode & 0o007:
        raise ConfigurationError(
            f"The master key {path} is open to every user of this machine. Close it: "
            f"chmod 600 {path}"
        )
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{path} is not a master key: it must hold {KEY_BYTES} bytes in base64. Put the right "
            "file there, or name another in TALEKEEPER_KEY_FILE."
        )
    return MasterKey(key, path)


def _make(path: Path) -> None:
    """A fresh key is at `path`, whole, for this user alone; one that is there first stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            sync_file(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
    sync_folder(path.parent)
