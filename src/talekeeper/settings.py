"""Every setting, with its default and its reason. Only the command line, the API and the keeper
see this.

A setting `name` is read from the variable `TALEKEEPER_NAME`; a command's flag overrides it.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from platformdirs import user_config_path, user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from talekeeper.domain.connections import Kind
from talekeeper.domain.conversations import (
    MAX_LONGEST_REQUEST,
    MIN_LONGEST_REQUEST,
    USUAL_LONGEST_REQUEST,
)
from talekeeper.errors import ConfigurationError

PREFIX = "TALEKEEPER_"

LogLevel = Literal["debug", "info", "warning", "error"]
Names = tuple[str, ...]
"""Several words in one variable, separated by commas."""


_DATABASE = re.compile(r"(/[0-9]{0,4})?")
"""Which of a Redis server's databases: a number."""
_STEP = re.compile(r"[A-Za-z0-9._~-]+")
_TAKEN_STEPS = frozenset(
    {
        *("api", "assets", "login", "healthz", "readyz", "metrics", "openapi.json"),
        *("c", "search", "archive", "trash", "storage", "settings"),
    }
)
"""What an address begins with below the base path: with or without it, an address means one thing."""


def _data_dir() -> Path:
    return user_data_path("talekeeper")


def _key_file() -> Path:
    return user_config_path("talekeeper") / "master.key"


class Settings(BaseModel):
    """What the server was told. It does not change while it runs."""

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    # Where it listens
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address to listen on. Beyond this machine only with TLS or a proxy.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="The port to listen on; 0 takes any free one."
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Further names, as NAME or NAME:PORT, under which browsers may reach the "
        "server, separated by commas. Others are refused, so that a foreign web page cannot reach "
        "it by a name of its own.",
    )
    behind_proxy: bool = Field(
        default=False,
        description="A reverse proxy stands in front and speaks TLS with the browsers.",
    )
    proxy_addresses: Names = Field(
        default=("127.0.0.1", "::1"),
        description="Whose X-Forwarded headers are believed behind a proxy; anyone could send them.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address that people type when a proxy stands in front; for links. It may "
        "have a path (https://host/tales/), which the proxy may strip or leave.",
    )
    tls_cert: Path | None = Field(default=None, description="The certificate chain, as a PEM file.")
    tls_key: Path | None = Field(
        default=None, description="The certificate's private key, as a PEM file."
    )
    open_browser: bool | None = Field(
        default=None, description="Open a browser at start; unset: where there is a display."
    )

    # Where things are kept
    data_dir: Path = Field(
        default_factory=_data_dir,
        description="The folder of the database and the models: the platform's own for user data.",
    )
    allow_network_folder: bool = Field(
        default=False,
        description="Keep the database in a data folder on a network share (NFS, SMB, 9p, FUSE), "
        "whose locks and syncs cannot be relied on. Without it such a folder is refused.",
    )
    database_url: str | None = Field(
        default=None,
        repr=False,
        description="postgresql://… to keep everything there; unset: SQLite in the data folder, "
        "which needs nothing.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="redis://… or rediss://…, where several server processes on one PostgreSQL tell "
        "each other at once what happens. Nothing is kept there alone: without it the others follow "
        "from the database, a second later.",
    )
    key_file: Path = Field(
        default_factory=_key_file,
        description="The master key that seals providers' keys. Outside the data folder, so that "
        "a copy of the data does not hold it. Made when missing.",
    )

    trash_days: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="Days after which what was deleted is removed for good; 0 keeps it until "
        "somebody removes it.",
    )

    # Who may come in
    token: SecretStr | None = Field(
        default=None,
        description="A bearer token of the owner, for scripts. It is compared, not stored.",
    )

    # How much an account may have; 0 is no limit. Nothing that a person typed is refused by these
    generations_per_minute: int = Field(
        default=20,
        ge=0,
        le=100_000,
        description="Replies that an account may ask for in a minute; 0 is no limit. Over it a message "
        "is stored without a reply, which can be asked for when the time is over.",
    )
    generations_at_once: int = Field(
        default=4,
        ge=0,
        le=100_000,
        description="Replies of one account that may grow at the same time, over all processes; 0 is "
        "no limit. Over it a message is stored without a reply.",
    )
    logins_per_minute: int = Field(
        default=5,
        ge=0,
        le=100_000,
        description="Login links that fail which one address may try in a minute; 0 is no "
        "limit. Over it a link is not used up, and works when the time is over.",
    )
    searches_per_minute: int = Field(
        default=60,
        ge=0,
        le=100_000,
        description="Searches that an account may make in a minute; 0 is no limit.",
    )
    streams_at_once: int = Field(
        default=16,
        ge=0,
        le=100_000,
        description="Event streams that an account may have open at each server process; 0 is no "
        "limit. The tabs of a browser share one.",
    )

    # Who answers
    provider: Kind = Field(
        default="local",
        description="Who answers where nothing else is chosen: the built-in small model.",
    )
    model: str | None = Field(
        default=None, description="The model to ask; unset: the provider's own choice."
    )
    openai_base_url: str | None = Field(
        default=None, description="An OpenAI-compatible endpoint; unset: OpenAI's own."
    )
    openai_api_key: SecretStr | None = Field(default=None, description="The key for that endpoint.")
    anthropic_base_url: str | None = Field(
        default=None,
        description="An endpoint that speaks Anthropic's language; unset: Anthropic's own.",
    )
    anthropic_api_key: SecretStr | None = Field(default=None, description="The key for Anthropic.")
    google_base_url: str | None = Field(
        default=None, description="An endpoint that speaks Gemini's language; unset: Google's own."
    )
    google_api_key: SecretStr | None = Field(
        default=None, description="The key for Google's Gemini."
    )
    ollama_base_url: str | None = Field(
        default=None, description="Where Ollama listens; unset: its usual place on this machine."
    )
    longest_request: int = Field(
        default=USUAL_LONGEST_REQUEST,
        ge=MIN_LONGEST_REQUEST,
        le=MAX_LONGEST_REQUEST,
        description="Tokens of the talk that one request to a model may take, so that a large window "
        "is not filled, and billed, unasked. The last ten messages go in past it. A connection and "
        "a conversation may have their own.",
    )
    titles: bool = Field(
        default=True,
        description="After the first reply in a conversation, ask the model that gave it for a "
        "title. Never the built-in small one.",
    )
    keep_reasoning: bool = Field(
        default=True,
        description="Keep what models think before they answer, folded under the reply. No model is "
        "ever sent it again. Without it the thinking is dropped as it comes.",
    )
    provider_first_token_seconds: float = Field(
        default=300,
        gt=0,
        le=86_400,
        description="How long a model may take to begin: a large one on a small machine is slow.",
    )
    provider_stall_seconds: float = Field(
        default=60, gt=0, le=86_400, description="How long a model that has begun may fall silent."
    )
    local_idle_seconds: float = Field(
        default=600,
        gt=0,
        le=86_400,
        description="How long a model on this machine stays in memory after its last reply. The next "
        "reply loads it again.",
    )
    scripted_pace_ms: float = Field(
        default=0,
        ge=0,
        le=60_000,
        description="Milliseconds between words of the scripted provider.",
    )

    # What it says
    log_level: LogLevel = Field(
        default="info", description="What is written to the log; debug also names every request."
    )

    @field_validator("allowed_hosts", "proxy_addresses", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if any(sign in host for sign in "/@*?# "):
                raise ValueError(f"{host!r} is not a host: write it as NAME or NAME:PORT")
        return hosts

    @field_validator(
        "public_url",
        "openai_base_url",
        "anthropic_base_url",
        "google_base_url",
        "ollama_base_url",
    )
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a name or password")
        return value.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _has_a_path_of_its_own(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.query or parts.fragment:
            raise ValueError("must end with its path, without ? and #")
        path = parts.path.rstrip("/")
        steps = path.split("/")[1:]
        if any(not _STEP.fullmatch(step) or set(step) == {"."} for step in steps):
            raise ValueError("must have a path of letters, digits and -._~ between single slashes")
        if steps and steps[0] in _TAKEN_STEPS:
            raise ValueError(
                f"must not have a path that begins with /{steps[0]}, an address of ours"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql:// (leave it unset for SQLite)")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in ("redis", "rediss") or not parts.hostname:
                raise ValueError("must begin with redis:// or rediss:// and name a host")
            if not _has_a_port(parts) or not _DATABASE.fullmatch(parts.path) or parts.query:
                raise ValueError(
                    "must have the form redis://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER]"
                )
        return value

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            secret = value.get_secret_value()
            if len(secret) > 1000 or not all("!" <= sign <= "~" for sign in secret):
                raise ValueError("must be at most 1000 visible ASCII characters without spaces")
        return value

    @field_validator("data_dir", "key_file", "tls_cert", "tls_key")
    @classmethod
    def _is_absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(value).expanduser().absolute()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TALEKEEPER_TLS_CERT and TALEKEEPER_TLS_KEY belong together: set both")
        if self.redis_url is not None and self.database_url is None:
            raise ValueError(
                "TALEKEEPER_REDIS_URL joins server processes that share a PostgreSQL: set "
                "TALEKEEPER_DATABASE_URL, too. On SQLite one process serves, and needs no Redis"
            )
        if self.key_file.is_relative_to(self.data_dir):
            raise ValueError(
                "TALEKEEPER_KEY_FILE must lie outside the data folder, or every copy of the data "
                "would hold the key"
            )
        return self

    @property
    def base_path(self) -> str:
        """The path of the public address, under which everything is served: `/tales`, or empty."""
        return "" if self.public_url is None else urlsplit(self.public_url).path

    @property
    def is_tls(self) -> bool:
        """The server itself speaks TLS."""
        return self.tls_cert is not None

    @property
    def is_loopback(self) -> bool:
        """Nobody but this machine can reach the address."""
        return is_loopback(self.host)


def _has_a_port(parts: SplitResult) -> bool:
    """The port is a number that can be one, or is left to the scheme."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """`host` is this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: Any) -> Settings:
    """The settings from the environment; `overrides` that are not None stand above it.

    Raises ConfigurationError, which names the variable and never repeats its value.
    """
    said = {name.upper(): value for name, value in os.environ.items() if value}
    given: dict[str, Any] = {
        name: said[variable]
        for name in Settings.model_fields
        if (variable := f"{PREFIX}{name}".upper()) in said
    }
    given |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError(_in_words(error)) from None


def _in_words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if not first["loc"]:
        return f"{reason}."
    return f"{PREFIX}{str(first['loc'][0]).upper()} is not usable: {reason}."
