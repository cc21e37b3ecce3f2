"""The schema, to be read from top to bottom.

An account owns conversations; a conversation is a tree of messages; a generation fills a reply;
chunks hold a reply's text while it grows; events are the logs, one of each conversation and one of
each account; a place says how far a follower has read a log.

A message has three numbers and each has one use. `id` is its name, made by the client, unique for
good. `key` is its place on disk: the tree is linked by it (`parent_key`), because walking from a
leaf to the root by integer is several times faster than by name, and because a parent is always
stored before its child, `parent_key < key` makes a cycle impossible. `seq` is its place in the
conversation: the place of the event that added it, so the log is also the index that lists a whole
tree in order.

Columns are text and integers only, so both engines give back the same Python values: times are
milliseconds since 1970, and what may be unset is NULL. A CHECK lists the values of an enumeration
that is closed; of one that grows (purposes, roles, kinds of tokens, jobs, logs and events) the
domain knows the values, which are checked when they are written and by `verifying`. A
conversation's `leaf_key` has no foreign
key, since each table would then have to be filled before the other; `verifying` checks it.
"""

from sqlalchemy import (
    DDL,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Whole = BigInteger().with_variant(Integer(), "sqlite")
"""63 bits on both engines; SQLite's strict tables know it as INTEGER only."""
Real: TypeEngine[float] = Double[float]().with_variant(REAL(), "sqlite")
"""64 bits on both engines, under the only name that SQLite's strict tables know."""

# One row: which installation this database belongs to. The data folder's marker bears the same id.
installation = Table(
    "installation",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=False),
    Column("installation_id", Text, nullable=False),
    Column("created_at", Whole, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    sqlite_strict=True,
)

# Server processes that may run generations. A lease in the past means: dead, or frozen too long.
processes = Table(
    "processes",
    metadata,
    Column("boot_id", Text, primary_key=True),
    Column("started_at", Whole, nullable=False),
    Column("lease_until", Whole, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # NFKC and case-folded: two accounts whose names look alike are refused.
    Column("name_key", Text, nullable=False, unique=True),
    Column("is_admin", Whole, nullable=False),
    # What answers where a conversation chooses none; NULL: the server's own choice. No foreign key:
    # the server's connections have no rows, and one that was removed is still named.
    Column("connection_id", Text),
    Column("model", Text),
    # The place of the newest event of the account's log.
    Column("seq", Whole, nullable=False, server_default=text("0")),
    Column("created_at", Whole, nullable=False),
    CheckConstraint("is_admin IN (0, 1)", name="is_admin"),
    sqlite_strict=True,
)

# Only the SHA-256 of a token is kept. A login token is good for one use (`used_at`).
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at", Whole, nullable=False),
    Column("expires_at", Whole),
    Column("last_used_at", Whole),
    Column("used_at", Whole),
    sqlite_strict=True,
)
Index(None, access_tokens.c.account_id)  # an account's tokens, to list and to revoke

# How an account reaches models. Ids are unique to an account: the server's own connections have the
# same ids everywhere, and a row under one of them is what the account set for itself.
# The key is sealed; `key_hint` is its last four characters. `kind` is checked by `verifying`.
connections = Table(
    "connections",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    # NFKC and case-folded: an account has no two connections whose names look alike.
    Column("name_key", Text, nullable=False),
    # Which preset it was made from, whose quirks it has; NULL: made by hand.
    Column("preset", Text),
    Column("base_url", Text),
    Column("sealed_key", Text),
    Column("key_hint", Text),
    Column("model", Text),
    Column("context_length", Whole),
    # Tokens of the talk that one request may take; NULL: the server's setting.
    Column("longest_request", Whole),
    Column("created_at", Whole, nullable=False),
    UniqueConstraint("account_id", "name_key", name="uq_connections_name"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    # Who gave the title: what is made never replaces what a person typed.
    Column("title_by", Text, nullable=False, server_default="first_words"),
    Column("purpose", Text, nullable=False),
    # A part this conversation plays for its account; at most one plays each.
    Column("role", Text),
    # Its rank in the account's list: it takes the next number when something happens in it and
    # it is not the newest already. Never a time, since clocks step.
    Column("activity", Whole, nullable=False),
    # The place of its newest event.
    Column("seq", Whole, nullable=False),
    # The lock on replying: each generation takes the next number and writes only under it.
    Column("epoch", Whole, nullable=False),
    Column("leaf_key", Whole),
    # Messages of all branches, those taken back not counted, and the characters of their contents.
    Column("message_count", Whole, nullable=False, server_default=text("0")),
    Column("characters", Whole, nullable=False, server_default=text("0")),
    Column("pinned", Whole, nullable=False, server_default=text("0")),
    # Out of the list; in the trash; removed for good, and its rows are going. Each is a time.
    Column("archived_at", Whole),
    Column("deleted_at", Whole),
    Column("removed_at", Whole),
    # What answers here; NULL: the account's choice. No foreign key, as in `accounts`.
    Column("connection_id", Text),
    Column("model", Text),
    Column("created_at", Whole, nullable=False),
    Column("updated_at", Whole, nullable=False),
    # How replies are made; NULL: the provider's own way.
    Column("temperature", Real),
    Column("top_p", Real),
    Column("max_tokens", Whole),
    # Tokens of the talk that one request may take; NULL: the connection's or the server's setting.
    Column("longest_request", Whole),
    CheckConstraint("title_by IN ('first_words', 'model', 'person')", name="title_by"),
    CheckConstraint("pinned IN (0, 1)", name="pinned"),
    CheckConstraint("removed_at IS NULL OR deleted_at IS NOT NULL", name="removed_from_trash"),
    sqlite_strict=True,
)
# The newest activity of an account.
Index(None, conversations.c.owner_id, conversations.c.activity, conversations.c.id)
# The three lists of an account's conversations. The first pays nothing for what was put away.
_is_active = text("archived_at IS NULL AND deleted_at IS NULL")
Index(
    "ix_conversations_active",
    conversations.c.owner_id,
    conversations.c.pinned,
    conversations.c.activity,
    conversations.c.id,
    sqlite_where=_is_active,
    postgresql_where=_is_active,
)
_is_archived = text("archived_at IS NOT NULL AND deleted_at IS NULL")
Index(
    "ix_conversations_archived",
    conversations.c.owner_id,
    conversations.c.activity,
    conversations.c.id,
    sqlite_where=_is_archived,
    postgresql_where=_is_archived,
)
_is_in_trash = text("deleted_at IS NOT NULL")
Index(
    "ix_conversations_trash",
    conversations.c.owner_id,
    conversations.c.activity,
    conversations.c.id,
    sqlite_where=_is_in_trash,
    postgresql_where=_is_in_trash,
)
# What the trash has held long enough, and what is going.
Index(
    "ix_conversations_deleted_at",
    conversations.c.deleted_at,
    sqlite_where=_is_in_trash,
    postgresql_where=_is_in_trash,
)
# One current global conversation an account. One that was put away may come back as it was.
_is_current = text("role = 'current_global' AND archived_at IS NULL AND deleted_at IS NULL")
Index(
    "uq_conversations_current",
    conversations.c.owner_id,
    unique=True,
    sqlite_where=_is_current,
    postgresql_where=_is_current,
)

messages = Table(
    "messages",
    metadata,
    Column("key", Whole, Identity(always=True), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column(
        "conversation_id", Text, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("parent_key", Whole, ForeignKey("messages.key", ondelete="CASCADE")),
    Column("seq", Whole, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("revision", Whole, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("updated_at", Whole, nullable=False),
    Column("generation_id", Text),
    Column("provider", Text),
    Column("model", Text),
    Column("input_tokens", Whole),
    Column("output_tokens", Whole),
    # Why the model ended the reply; NULL where it did not, or its provider did not say.
    Column("finish_reason", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_retryable", Whole),
    Column("error_retry_after", Whole),
    # A person's mark, with a note or without one.
    Column("bookmark", Text),
    # When this message was taken back, and all under it with it.
    Column("deleted_at", Whole),
    # The key of the message that was taken back, on every row that went with it, its own included.
    # No foreign key: rows of a branch go youngest first, and the message named here last.
    Column("deleted_by", Whole),
    # When what it said was removed for good. Its row stays, since an id is unique for good.
    Column("emptied_at", Whole),
    Column("content", Text, nullable=False),
    # Who speaks: the name as it was then, and the record's id, where there is one. NULL: the account
    # itself, or its assistant.
    Column("speaker_id", Text),
    Column("speaker_name", Text),
    Column("mode", Text, nullable=False, server_default="about"),
    # Who may see it, as JSON; NULL: the game master alone.
    Column("audience", Text),
    # It is shown, and no model is sent it.
    Column("hidden_from_ai", Whole, nullable=False, server_default=text("0")),
    # What it holds beside its text, a JSON list of parts; NULL: nothing. The text of a reasoning
    # part is in `thoughts`.
    Column("parts", Text),
    CheckConstraint("parent_key < key", name="parent_is_elder"),
    CheckConstraint("role IN ('user', 'assistant', 'system')", name="role"),
    CheckConstraint(
        "status IN ('pending', 'streaming', 'complete', 'stopped', 'interrupted', 'failed')",
        name="status",
    ),
    CheckConstraint("role = 'assistant' OR status = 'complete'", name="only_replies_grow"),
    CheckConstraint(
        "finish_reason IN ('stop', 'length', 'filtered', 'refused')", name="finish_reason"
    ),
    CheckConstraint("error_retryable IN (0, 1)", name="error_retryable"),
    CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="failed_has_error"),
    CheckConstraint("deleted_at IS NULL OR deleted_by IS NOT NULL", name="deleted_with_itself"),
    CheckConstraint(
        "emptied_at IS NULL OR (deleted_by IS NOT NULL AND content = '')", name="emptied"
    ),
    CheckConstraint("mode IN ('about', 'speak')", name="mode"),
    CheckConstraint("hidden_from_ai IN (0, 1)", name="hidden_from_ai"),
    CheckConstraint("speaker_id IS NULL OR speaker_name IS NOT NULL", name="speaker_has_name"),
    sqlite_strict=True,
)
# The children of a message, eldest first, and the roots of a conversation. Two indexes, of which a
# message is in one: without the conversation's id, three hundred children fit on a page.
_has_parent = text("parent_key IS NOT NULL")
Index(
    "ix_messages_children",
    messages.c.parent_key,
    sqlite_where=_has_parent,
    postgresql_where=_has_parent,
)
_is_root = text("parent_key IS NULL")
Index(
    "ix_messages_roots",
    messages.c.conversation_id,
    sqlite_where=_is_root,
    postgresql_where=_is_root,
)
_is_bookmarked = text("bookmark IS NOT NULL")
Index(
    "ix_messages_bookmarked",
    messages.c.conversation_id,
    messages.c.seq,
    sqlite_where=_is_bookmarked,
    postgresql_where=_is_bookmarked,
)
# What went with a message that was taken back.
_is_deleted = text("deleted_by IS NOT NULL")
Index(
    "ix_messages_deleted_by",
    messages.c.deleted_by,
    sqlite_where=_is_deleted,
    postgresql_where=_is_deleted,
)
# Branches that were taken back and still hold what they said.
_is_to_be_emptied = text("deleted_at IS NOT NULL AND emptied_at IS NULL")
Index(
    "ix_messages_to_be_emptied",
    messages.c.deleted_at,
    sqlite_where=_is_to_be_emptied,
    postgresql_where=_is_to_be_emptied,
)

generations = Table(
    "generations",
    metadata,
    Column("id", Text, primary_key=True),
    # The message's own, repeated because the lock below is on it.
    Column("conversation_id", Text, nullable=False),
    Column("message_key", Whole, ForeignKey("messages.key", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("epoch", Whole, nullable=False),
    Column("boot_id", Text, nullable=False),
    # Characters the message had when this generation took it up; more than 0 for a continue.
    Column("start_offset", Whole, nullable=False),
    # Which connection was asked, NULL before there were any, and the kind of its provider.
    Column("connection_id", Text),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("first_token_ms", Whole),
    Column("duration_ms", Whole),
    Column("input_tokens", Whole),
    Column("output_tokens", Whole),
    Column("error_code", Text),
    # What the model was told, section by section, as JSON in the version of its shape.
    Column("receipt", Text),
    # Since when it is to end: any process may be asked, and the one that fills it reads it here.
    Column("stop_asked_at", Whole),
    CheckConstraint("kind IN ('send', 'regenerate', 'continue')", name="kind"),
    CheckConstraint(
        "status IN ('running', 'finished', 'stopped', 'interrupted', 'failed')", name="status"
    ),
    sqlite_strict=True,
)
# Every attempt at one reply.
Index(None, generations.c.message_key)
# The lock itself: one running generation a conversation. Also finds what a dead process left.
Index(
    "uq_generations_running",
    generations.c.conversation_id,
    unique=True,
    sqlite_where=text("status = 'running'"),
    postgresql_where=text("status = 'running'"),
)

# What models thought: the text of the reasoning part at `position` among a message's parts, in
# pieces as they came. A process that dies loses none that is here, and nothing has to be folded.
thoughts = Table(
    "thoughts",
    metadata,
    Column("message_key", Whole, ForeignKey("messages.key", ondelete="CASCADE"), primary_key=True),
    Column("position", Whole, primary_key=True),
    Column("start_offset", Whole, primary_key=True),
    Column("text", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Texts that models were told and that no message holds, each once a conversation under its hash:
# what the receipts of its generations name. They go with the conversation.
told_texts = Table(
    "told_texts",
    metadata,
    Column(
        "conversation_id",
        Text,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("hash", Text, primary_key=True),
    Column("text", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Work that outlives the process: claimed under a lease, tried again, kept for a while when it ended.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("owner_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    # The conversation that the work belongs to, and goes with; NULL: to none.
    Column("conversation_id", Text, ForeignKey("conversations.id", ondelete="CASCADE")),
    # While a job of this kind and key waits or runs, no second one is added. NULL: any number.
    Column("unique_key", Text),
    # What the work needs to know, and what it found: JSON objects, read by the kind's handler.
    Column("payload", Text, nullable=False),
    Column("result", Text),
    Column("state", Text, nullable=False),
    # So many steps are done, of so many; NULL: how many there are is not known.
    Column("progress", Whole, nullable=False),
    Column("progress_of", Whole),
    # Counted when it is claimed, so that work which kills its process ends as well.
    Column("attempts", Whole, nullable=False),
    Column("run_at", Whole, nullable=False),
    Column("lease_until", Whole),
    Column("boot_id", Text),
    # Set while the job runs: its process learns it when it renews the lease or reports progress.
    Column("cancel_asked_at", Whole),
    Column("error_code", Text),
    Column("created_at", Whole, nullable=False),
    Column("updated_at", Whole, nullable=False),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
    CheckConstraint("progress >= 0 AND progress <= progress_of", name="progress"),
    CheckConstraint(
        "(state = 'running') = (lease_until IS NOT NULL)"
        " AND (state = 'running') = (boot_id IS NOT NULL)",
        name="running_has_lease",
    ),
    sqlite_strict=True,
)
# The next work to be done, and what a dead process left.
_is_pending = text("state IN ('queued', 'running')")
Index("ix_jobs_due", jobs.c.run_at, sqlite_where=_is_pending, postgresql_where=_is_pending)
Index(
    "uq_jobs_pending",
    jobs.c.kind,
    jobs.c.unique_key,
    unique=True,
    sqlite_where=_is_pending,
    postgresql_where=_is_pending,
)
# What ended long ago.
_has_ended = text("state NOT IN ('queued', 'running')")
Index("ix_jobs_ended", jobs.c.updated_at, sqlite_where=_has_ended, postgresql_where=_has_ended)
Index(None, jobs.c.conversation_id)  # what goes with a conversation that is removed

# Checkpoints of a reply that grows, folded into its message when the generation ends.
chunks = Table(
    "chunks",
    metadata,
    Column(
        "generation_id", Text, ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("start_offset", Whole, primary_key=True),
    Column("text", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# The logs: what happened in a conversation, or to what else an account has, in order and without
# gaps. An event names what changed and holds no copy of it: followers read the present state. What
# was removed or emptied has an event that says so. No foreign key to what a log is of, which is one
# of several tables: the events of a conversation are removed before its row.
events = Table(
    "events",
    metadata,
    Column("log_kind", Text, primary_key=True),
    Column("log_id", Text, primary_key=True),
    Column("seq", Whole, primary_key=True),
    Column("at", Whole, nullable=False),
    Column("kind", Text, nullable=False),
    # What the event is about: a message of the conversation, or something that has an id.
    Column("message_key", Whole),
    Column("subject_id", Text),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
# Whether a conversation was removed: its id is never given to another one.
_is_gone = text("kind = 'conversation_gone'")
Index("ix_events_gone", events.c.subject_id, sqlite_where=_is_gone, postgresql_where=_is_gone)

# How far a follower has read a log. The place is written in the transaction of what the follower
# made of the events before it. No row: the follower has read nothing of the log.
places = Table(
    "places",
    metadata,
    Column("follower", Text, primary_key=True),
    Column("log_kind", Text, primary_key=True),
    Column("log_id", Text, primary_key=True),
    Column("seq", Whole, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# One row: how the search index is made, and whether all that was once behind has been read.
search_state = Table(
    "search_state",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=False),
    # Another number than the code's: the index is made anew.
    Column("format", Whole, nullable=False),
    Column("is_caught_up", Whole, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint("is_caught_up IN (0, 1)", name="is_caught_up"),
    sqlite_strict=True,
)

# The search index holds no text, only which pieces (as numbers) stand in which message, and can be
# made anew from the messages at any time. SQLite's is a full-text table, whose rowid is the
# message's key; PostgreSQL's is a table of arrays under an inverted index. See `indexing`.
SEARCH_INDEX_ON_SQLITE = (
    (
        "CREATE VIRTUAL TABLE search_index USING fts5("
        "tokens, content='', columnsize=0, detail=none, tokenize='ascii')"
    ),
)
SEARCH_INDEX_ON_POSTGRESQL = (
    (
        "CREATE TABLE search_index (message_key bigint PRIMARY KEY"
        " REFERENCES messages (key) ON DELETE CASCADE, tokens integer[] NOT NULL)"
    ),
    "CREATE INDEX ix_search_index_tokens ON search_index USING gin (tokens)",
)
for _statement in SEARCH_INDEX_ON_SQLITE:
    event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect="sqlite"))
for _statement in SEARCH_INDEX_ON_POSTGRESQL:
    event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect="postgresql"))
