#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/*
 * Every queue, line, depth, body and retry has its maximum here.
 */

enum {
	/* The wire. Clients of the official SDKs close at 10 MiB, so we take no more either. */
	RPC_LINE_BYTES_MAX = 10 * 1024 * 1024,
	RPC_DEPTH_MAX = 128,
	/* Memory for the values of one text, of whatever source: beside a line of 10 MiB and its
	 * copy this stays below 100 MB, and plain text of that size fits several times. */
	READER_ROOM_BYTES_MAX = 64 * 1024 * 1024,
	RPC_ID_BYTES_MAX = 1024,
	RPC_READ_BYTES_PER_TURN = 1024 * 1024,
	RPC_MESSAGES_PER_TURN = 4096,
	RPC_BATCH_ITEMS_MAX = 256,
	/* Above high water no input is read until the output is below low water. */
	OUT_HIGH_WATER_BYTES = 1024 * 1024,
	OUT_LOW_WATER_BYTES = 256 * 1024,
	OUT_FLUSH_BYTES = 48 * 1024,
	PIPE_BYTES_WANTED = 1024 * 1024,
	/* Calls in flight on one connection; beyond it input waits. */
	CALLS_IN_FLIGHT_MAX = 2048,
	/* Of memory that the values of all their messages take; one that is beyond is the last. */
	CALLS_BYTES_IN_FLIGHT_MAX = 128 * 1024 * 1024,
	LISTENS_MAX = 64,
	TOOLS_PER_PAGE = 200,

	/* Time, in milliseconds. */
	TOOL_TIMEOUT_MS_DEFAULT = 30 * 1000,
	CALL_DEADLINE_MS = 50 * 1000,
	DRAIN_MS = 10 * 1000,
	/* After SIGTERM all is over within a second: a wait for the store that was under way,
	 * these two, and the end of the parts and the children. */
	TERM_DRAIN_MS = 350,
	/* After either: for releases to become durable and output to leave. */
	SETTLE_MS = 2 * 1000,
	TERM_SETTLE_MS = 120,
	/* What the end takes for a last look at the store, and to close it. */
	LAST_TURNS_MS = 100,
	CLOSE_WAIT_MS = 100,
	LEASE_MS = 15 * 1000,
	FILE_WAIT_MS = 5 * 1000,
	LEASE_RENEW_MS = 5 * 1000,
	STORE_WAIT_MS = 250,
	STORE_RETRY_MS = 20,
	HURRY_WAIT_MS = 20,
	/* Of the wall clock against the boot clock: what is believed ahead, and not told of behind;
	 * what moves the line that they are held against, and how often. */
	CLOCK_AHEAD_MS = 60 * 1000,
	CLOCK_BACK_MS = 5 * 1000,
	CLOCK_OFF_MS = 1000,
	CLOCK_LINE_MS = 60 * 60 * 1000,

	/* The wallet. */
	BATCH_COMMANDS_MAX = 2048,
	BATCH_MS_MAX = 50,
	QUERY_ROWS_PER_STEP = 4096,
	USAGE_ROWS_PER_STEP = 512,
	/* Queries of one turn, after which the others wait for the next; long ones of an org at
	 * once. */
	QUERY_MS_PER_TURN = 5,
	QUERIES_LONG_PER_ORG = 4,
	SWEEP_HOLDS_PER_BATCH = 1024,
	IDEMPOTENCY_KEY_BYTES_MAX = 255,
	IDEMPOTENCY_HOURS = 24,
	STORED_RESULT_BYTES_MAX = 1024 * 1024,
	ORG_NAME_BYTES_MAX = 100,
	KEY_LABEL_BYTES_MAX = 100,
	RATE_CALLS_MAX = 1000 * 1000,
	RATE_SECONDS_MAX = 24 * 60 * 60,

	/* Payments; times in milliseconds. */
	PAYMENT_USD_MIN = 5,
	PAYMENT_USD_MAX = 10000,
	/* The ceilings of purchases where the operator sets none. */
	PURCHASE_PER_CALL_USD = 500,
	PURCHASE_PER_DAY_USD = 1000,
	PURCHASE_PER_MONTH_USD = 3000,
	PAYMENT_ANSWER_MS = 45 * 1000,
	PAYMENT_STORE_MS = 10 * 1000,
	PAYMENT_SAME_MS = 5 * 60 * 1000,
	/* So many declined buys of an org in this time, or in flight: then the next one waits,
	 * looks again after a step, and is told to come again when its time is over. */
	BUY_DECLINES_MAX = 10,
	BUY_BRAKE_MS = 10 * 60 * 1000,
	BUY_BRAKE_STEP_MS = 200,
	BUY_BRAKE_BUSY_MS = 10 * 1000,
	PAYMENT_OPEN_MS = 24 * 60 * 60 * 1000,
	PAYMENT_LOOK_MS = 60 * 1000,
	PAYMENT_LOOK_MS_MAX = 60 * 60 * 1000,
	PAYMENT_LOOK_ROWS = 32,
	/* How long one process asks the till alone. */
	POLLER_TURN_MS = 10 * 1000,
	/* A list of what went back is read on after this, TILL_PAGES_MAX pages at once. */
	PAYMENT_NEWS_STEP_MS = 1000,
	/* Refunds may fail, and disputes come, long after; a look goes back this far. */
	PAYMENT_NEWS_DAYS = 30,
	DOCTOR_STRAYS_MAX = 20,
	/* What was paid is read again from so long before the last reading. */
	PAYMENT_FOUND_OVERLAP_MS = 2 * 24 * 60 * 60 * 1000,
	/* What a balance waits for the till, and how often it asks: so many times at once, then so
	 * far apart. */
	PAYMENT_REFRESH_MS = 3 * 1000,
	PAYMENT_REFRESH_BURST = 3,
	PAYMENT_REFRESH_SPACING_MS = 1500,
	/* The same of a refused call while a payment is open; or the payment's age by this. */
	PAYMENT_REFUSED_SPACING_MS = 5 * 1000,
	PAYMENT_REFUSED_SPACING_OF_AGE = 20,
	/* An open payment is offered again only while there is time left to pay it. */
	PAYMENT_OFFER_MS = 23 * 60 * 60 * 1000,
	/* Who waits for a payment looks into the store this often. */
	PAYMENT_WAIT_STEP_MS = 300,
	PAY_STATE_MS = 30 * 60 * 1000,
	PAY_OFFERS_MAX = 64,
	PAY_OPEN_LOOKED_AT = 20,
	PAY_STATE_TEXT_MAX = 512,
	/* Under an idempotency key a till remembers for 24 h: less, for safety. */
	TILL_REPLAY_MS = 23 * 60 * 60 * 1000,
	/* A payment that the till has not heard of in this time is not begun any more. */
	TILL_BEGIN_MS = 60 * 60 * 1000,
	TILL_GIVE_UP_MS = 60 * 1000,
	TILL_PAGES_MAX = 10,
	TILL_CLOCK_SLACK_S = 24 * 60 * 60,
	/* What a till does not know this long after the last send was given up never reached it. */
	TILL_MARGIN_MS = 2 * 60 * 1000,
	RELOAD_USD_MAX = 500,
	RELOAD_SPACING_MS = 60 * 1000,
	RELOAD_DECLINED_MS = 60 * 60 * 1000,
	RELOAD_DECLINES_MAX = 3,
	RELOAD_WATCH_MAX = 1024,

	/* The mirror at the till's meter, in milliseconds: how soon after a use it is told, how
	 * long one process tells alone and how often it says that it still does, and how long an
	 * org or all wait after a failure. An event's name is remembered for a day, its time may be
	 * 35 days ago. */
	MIRROR_MS = 5 * 1000,
	MIRROR_GIVE_UP_MS = 30 * 1000,
	MIRROR_TURN_MS = 6 * 1000,
	MIRROR_RENEW_MS = 2 * 1000,
	MIRROR_BACKOFF_MS_MAX = 10 * 60 * 1000,
	/* How often it is asked whether an org's subscription and the meter are there. */
	MIRROR_CHECK_MS = 60 * 60 * 1000,
	MIRROR_SAY_MS = 10 * 60 * 1000,
	MIRROR_AGE_DAYS_MAX = 34,
	MIRROR_EVENTS_PER_TURN = 16, /* of one org that is far behind */
	MIRROR_ORGS_AT_ONCE = 4,
	MIRROR_FAILURES_MAX = 4, /* orgs without an answer, one after the other */

	/* Calls of Stripe: how long and how often one is repeated, in milliseconds but for the
	 * seconds that Stripe itself may ask for. */
	STRIPE_GIVE_UP_MS = 90 * 1000,
	STRIPE_TRY_MS = 30 * 1000,
	STRIPE_TRY_MS_MIN = 2 * 1000,
	STRIPE_TRIES_MAX = 5,
	STRIPE_BACKOFF_MS = 500,
	STRIPE_BACKOFF_MS_MAX = 8 * 1000,
	STRIPE_RETRY_AFTER_S_MAX = 60,
	STRIPE_KEY_BYTES_MAX = 255,
	STRIPE_TEXT_BYTES_MAX = 500,
	STRIPE_SIGNATURE_BYTES_MAX = 4096,
	STRIPE_SIGNATURE_AGE_S = 300,
	/* Of webhooks: one event, and the secrets of one endpoint. */
	STRIPE_EVENT_BYTES_MAX = 1024 * 1024,
	STRIPE_SECRETS_MAX = 8,
	/* Secrets that a process strikes; a file that is rotated adds one each time. */
	VAULT_SECRETS_MAX = 4096,
	/* What doctor waits for each round of reads, and the clock that it puts up with. */
	STRIPE_DOCTOR_MS = 10 * 1000,
	STRIPE_DOCTOR_SKEW_WARN_S = 60,
	STRIPE_DOCTOR_SKEW_FAIL_S = 300,

	/* The loop, and what one piece of its work may take of the processor unsaid. */
	LOOP_EVENTS_PER_TURN = 256,
	HANDLER_CPU_MS_MAX = 50,

	/* The process: descriptors that must be free at its start, for the wire, the loop, the
	 * store, a transfer and a child. */
	DESCRIPTORS_MIN = 24,
	/* And memory, for its own tables, before a library finds that there is none. */
	MEMORY_MIN_BYTES = 8 * 1024 * 1024,

	/* The log: warnings of one event and reason that are printed in a window, how many sorts
	 * are told apart, and how many of a list are named. */
	LOG_SAME_MAX = 10,
	LOG_SAME_WINDOW_MS = 10 * 1000,
	LOG_SORTS_MAX = 16,
	LOG_NAMED_MAX = 5,

	/* Children: what is read a turn, what may wait to be written, and the time between SIGTERM
	 * and SIGKILL. */
	CHILD_READ_BYTES = 64 * 1024,
	CHILD_PENDING_BYTES_MAX = 2 * RPC_LINE_BYTES_MAX,
	CHILD_KEPT_BYTES = 64 * 1024,
	CHILD_LAST_READS = 256,
	CHILD_TERM_MS = 500,

	/* HTTP transfers of detectors and providers. */
	HTTP_BODY_BYTES_MAX = 16 * 1024 * 1024,
	HTTP_HEADER_BYTES_MAX = 64 * 1024,
	HTTP_REDIRECTS_MAX = 5,
	HTTP_CONNECT_MS = 10 * 1000,
	HTTP_CONNECTIONS_MAX = 256, /* busy and kept */
	HTTP_HANDLES_IDLE_MAX = 64,
	/* How long a connection may have been idle that serves a request which is sent once.
	 * Servers close idle ones after 5 s, some after 2 s: the closer to that, the more likely is
	 * it that a request meets the end of its connection on the way. */
	HTTP_ONCE_KEPT_S = 2,

	/* Providers: what is sent and taken, and the time kept back from the meter's own timer, so
	 * that a provider can still say how far it came. */
	PROVIDER_BODY_BYTES_MAX = 2 * 1024 * 1024,
	PROVIDER_SENT_BYTES_MAX = 16 * 1024 * 1024, /* a body or form of arguments */
	PROVIDER_IMAGE_BYTES_MAX = 1024 * 1024,
	PROVIDER_URL_BYTES_MAX = 16 * 1024,
	PROVIDER_HEADER_BYTES_MAX = 8 * 1024,
	PROVIDER_RETRIES_MAX = 2,
	PROVIDER_RETRY_MS = 200,
	PROVIDER_RETRY_SPARE_MS = 100,
	PROVIDER_KEPT_BACK_MS = 20,
	LLM_STREAM_BYTES_MAX = 64 * 1024 * 1024,
	LLM_EVENT_BYTES_MAX = 1024 * 1024,
	LLM_CHUNK_BYTES = 64 * 1024,
	LLM_CONTENT_BYTES_MAX = 2 * 1024 * 1024,
	LLM_COUNT_MAX = 1000 * 1000 * 1000,
	LLM_MAX_TOKENS_DEFAULT = 4096,
	LLM_PROGRESS_MS = 1000,
	LLM_LINGER_MS = 200,
	SESSION_ACCOUNTS_MAX = 100,
	TEMPLATE_DEPTH_MAX = 8,
	TEMPLATE_NAME_BYTES_MAX = 120,

	/* Upstream MCP servers. Times in milliseconds: a start with its handshake and list, silence
	 * before the older handshake is tried, how long a list of ours waits for theirs (a host
	 * gives up after 5 s), between restarts, before a
	 * stream is opened again and before the rest of an answer is asked for, and the end. */
	UPSTREAM_START_MS = 25 * 1000,
	UPSTREAM_PROBE_MS = 3 * 1000,
	UPSTREAM_LIST_WAIT_MS = 4 * 1000,
	/* What the store may take to say what the caller of a listing may do. */
	LISTING_SCOPES_MS = 1000,
	UPSTREAM_BACKOFF_MS = 1000,
	UPSTREAM_BACKOFF_MS_MAX = 60 * 1000,
	UPSTREAM_STABLE_MS = 60 * 1000,
	UPSTREAM_BACKOFF_WAIT_MS = 5 * 1000,
	UPSTREAM_RELIST_MS = 1000,
	UPSTREAM_SLACK_MS = 1000, /* the meter's own clock goes first */
	UPSTREAM_STREAM_MS = 1000,
	UPSTREAM_RESUME_MS = 100,
	UPSTREAM_RESUMES_MAX = 100,
	EVENT_ID_BYTES_MAX = 1024,
	UPSTREAM_LIST_MS = 5 * 60 * 1000,
	UPSTREAM_PROGRESS_MS = 100,
	UPSTREAM_END_MS = 500,
	UPSTREAM_TERM_MS = 100,
	UPSTREAM_TOOLS_MAX = 256,
	UPSTREAM_LIST_PAGES_MAX = 64,
	UPSTREAM_LIST_BYTES_MAX = 2 * 1024 * 1024,
	UPSTREAM_RESULT_BYTES_MAX = 8 * 1024 * 1024,
	UPSTREAM_GARBAGE_LINES_MAX = 1000,
	UPSTREAM_NOISE_PER_S_MAX = 2000,
	UPSTREAM_LOG_LINES_MAX = 20,
	UPSTREAM_LOG_WINDOW_MS = 10 * 1000,
	UPSTREAM_LOG_LINE_BYTES = 1024,

	/* Detectors: what they read, keep and report. */
	BOARD_BYTES_MAX = 8 * 1024 * 1024,
	BOARD_POSTINGS_MAX = 10000,
	BOARD_NAME_BYTES_MAX = 100,
	PAGE_BYTES_MAX = 2 * 1024 * 1024,
	PAGE_DEPTH_MAX = 512,
	ROBOTS_BYTES_MAX = 512 * 1024,
	SITEMAP_BYTES_MAX = 4 * 1024 * 1024,
	SITEMAP_URLS_MAX = 50000,
	SITEMAP_CHILDREN_MAX = 3,
	URL_BYTES_MAX = 2048,
	MARKS_MAX = 2000,
	SIGNAL_TEXT_BYTES_MAX = 200,
	SIGNAL_NEWEST_MAX = 5,
	SIGNAL_GROUPS_MAX = 20,
	SIGNAL_NEW_URLS_MAX = 20,
	RETRY_AFTER_S_MAX = 5,
	DETECTORS_MAX = 16,

	/* Prices of models. The default is what a call without max_tokens may answer. */
	LLM_MAX_OUTPUT_DEFAULT = 4096,
	LLM_TOKENS_MAX = 100 * 1000 * 1000,
	LLM_USD_PER_MILLION_MAX = 100 * 1000,
	LLM_TOKENS_PER_MESSAGE = 8,
	LLM_TOKENS_PER_MEDIA = 3000,
	/* The most that any of the known models counts for an image, whatever its size: gpt-4o-mini
	 * takes 2833 and 5667 for each of at most 8 tiles (2048 x 768 in squares of 512), where
	 * others of OpenAI and Anthropic stay below 10000 and most below 2000. */
	LLM_TOKENS_PER_IMAGE = 2833 + 8 * 5667,
	LLM_TOKENS_PER_IMAGE_MAX = 1000 * 1000,
	LLM_MODELS_SHOWN_MAX = 32,
	LLM_NAME_BYTES_MAX = 200,
	PRICE_FILE_BYTES_MAX = 16 * 1024 * 1024,

	/* Configuration. */
	CONFIG_BYTES_MAX = 4 * 1024 * 1024,
	CONFIG_FAULTS_MAX = 500,
	TOOLS_MAX = 512,
	TOOL_NAME_BYTES_MAX = 64,
	SCHEMA_DEPTH_MAX = 32,
	SCHEMA_ERRORS_MAX = 1,
	SCHEMA_NODES_MAX = 8192,
	SCHEMA_CHOICES_MAX = 65536, /* of all enums */
	/* One pattern: its text, its groups within groups, what its repeats amount to, and its
	 * compiled code; and all patterns of a schema. */
	SCHEMA_PATTERN_BYTES_MAX = 4096,
	SCHEMA_PATTERN_DEPTH_MAX = 64,
	SCHEMA_PATTERN_STRAIGHT_MAX = 65536,
	SCHEMA_PATTERN_CODE_MAX = 16 * 1024,
	SCHEMA_PATTERNS_MAX = 256,
	SCHEMA_PATTERNS_CODE_MAX = 256 * 1024,
	/* One match: choices (some 10 to 200 ns each), nested choices, and the memory of those. */
	SCHEMA_MATCH_CHOICES_MAX = 128 * 1024,
	SCHEMA_MATCH_DEPTH_MAX = 64 * 1024,
	SCHEMA_MATCH_HEAP_KIB_MAX = 4 * 1024,
	/* Of one check: nested rules (the value's own depth is bounded by RPC_DEPTH_MAX), and
	 * steps of some 20 ns, matches included, so that no pair of schema and value can hold the
	 * loop. */
	SCHEMA_CHECK_DEPTH_MAX = 1024,
	SCHEMA_CHECK_STEPS_MAX = 2 * 1000 * 1000,

	/* The command line, in milliseconds: a call from start to end, a wait for the store, what a
	 * cancelled call may take to release its hold, what the end waits for. */
	CLI_CALL_MS = 610 * 1000,
	CLI_STORE_MS = 10 * 1000,
	CLI_CANCEL_MS = 2 * 1000,
	CLI_SETTLE_MS = 10 * 1000,
	CLI_SLACK_MS = 1000,
	CLI_REASON_BYTES_MAX = 500,
	CLI_EMAIL_BYTES_MAX = 254,
};

#endif
