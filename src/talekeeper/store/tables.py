"""The schema, to be read from top to bottom.

An account owns conversations; a conversation is a tree of messages; a generation fills a reply;
chunks hold a reply's text while it grows; events are the conversation's log.

A message has three numbers and each has one use. `id` is its name, made by the client, unique for
good. `key` is its place on disk: the tree is linked by it (`parent_key`), because walking from a
leaf to the root by integer is several times faster than by name, and because a parent is always
stored before its child, `parent_key < key` makes a cycle impossible. `seq` is its place in the
conversation: the place of the event that added it, so the log is also the index that lists a whole
tree in order.

Columns are text and integers only, so both engines give back the same Python values: times are
milliseconds since 1970, and what may be unset is NULL. A conversation's `leaf_key` has no foreign
key, since each table would then have to be filled before the other; `verifying` checks it.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

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
    # The model that answers where a conversation chooses none; NULL: the server's own choice.
    Column("provider", Text),
    Column("model", Text),
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
    CheckConstraint("kind IN ('bearer', 'session', 'login', 'control')", name="kind"),
    sqlite_strict=True,
)
Index(None, access_tokens.c.account_id)  # an account's tokens, to list and to revoke

# How an account reaches a provider. The key is sealed; `key_hint` is its last four characters.
provider_settings = Table(
    "provider_settings",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("base_url", Text),
    Column("model", Text),
    Column("sealed_key", Text),
    Column("key_hint", Text),
    Column("context_length", Whole),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
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
    Column("provider", Text),
    Column("model", Text),
    Column("created_at", Whole, nullable=False),
    Column("updated_at", Whole, nullable=False),
    CheckConstraint(
        "purpose IN ('general', 'campaign_creation', 'session_planning', 'npc_generation',"
        " 'world_building', 'character_background')",
        name="purpose",
    ),
    CheckConstraint("role IN ('current_global')", name="role"),
    sqlite_strict=True,
)
# The list of an account's conversations, newest activity first.
Index(None, conversations.c.owner_id, conversations.c.activity, conversations.c.id)
# One current global conversation an account.
Index(
    "uq_conversations_current",
    conversations.c.owner_id,
    unique=True,
    sqlite_where=text("role = 'current_global'"),
    postgresql_where=text("role = 'current_global'"),
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
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_retryable", Whole),
    Column("error_retry_after", Whole),
    Column("content", Text, nullable=False),
    CheckConstraint("parent_key < key", name="parent_is_elder"),
    CheckConstraint("role IN ('user', 'assistant', 'system')", name="role"),
    CheckConstraint(
        "status IN ('pending', 'streaming', 'complete', 'stopped', 'interrupted', 'failed')",
        name="status",
    ),
    CheckConstraint("role = 'assistant' OR status = 'complete'", name="only_replies_grow"),
    CheckConstraint("error_retryable IN (0, 1)", name="error_retryable"),
    CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="failed_has_error"),
    sqlite_strict=True,
)
# The children of a message, eldest first; the roots of a conversation.
Index(None, messages.c.parent_key, messages.c.conversation_id)

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
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("first_token_ms", Whole),
    Column("duration_ms", Whole),
    Column("input_tokens", Whole),
    Column("output_tokens", Whole),
    Column("error_code", Text),
    # What the model was told, part by part, as JSON: written once, shown as it is.
    Column("receipt", Text),
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

# The log: what happened in a conversation, in order and without gaps. It names what changed and
# holds no copy of it; whoever follows reads the present state.
events = Table(
    "events",
    metadata,
    Column(
        "conversation_id",
        Text,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("seq", Whole, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("message_key", Whole),
    CheckConstraint("kind IN ('conversation', 'message_added', 'message_changed')", name="kind"),
    CheckConstraint("(kind = 'conversation') = (message_key IS NULL)", name="kind_names_message"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
