#include "wallet/clock.h"

#include "wallet/internal.h"

#include "base/limits.h"
#include "base/log.h"

#include <string.h>

static void read_belief(void *arg, const struct db_row *row)
{
	struct clock_belief *c = arg;
	struct slice boot = db_row_blob(row, "boot");

	CHECK(boot.len == sizeof(c->boot));
	memcpy(c->boot, boot.p, boot.len);
	c->is_known = true;
	c->wall = db_row_walltime(row, "wall_ms");
	c->at.ms = db_row_i64(row, "boot_ms");
	c->earliest = db_row_walltime(row, "earliest_ms");
	c->ahead_ms = db_row_i64(row, "ahead_ms");
	c->ahead_seen = db_row_walltime(row, "ahead_seen_ms");
	c->back_ms = db_row_i64(row, "back_ms");
	c->back_seen = db_row_walltime(row, "back_seen_ms");
}

void clock_queue_read(struct db *db, struct clock_belief *out)
{
	static const char SQL[] = "SELECT boot, wall_ms, boot_ms, earliest_ms, ahead_ms, "
				  "ahead_seen_ms, back_ms, back_seen_ms FROM clock WHERE id = 1";

	*out = (struct clock_belief){.is_known = false};
	db_queue(db_stmt(db, SQL), read_belief, out);
}

enum db_status clock_belief_read(struct db *db, struct clock_belief *out)
{
	clock_queue_read(db, out);
	return db_flush(db);
}

static bool is_of_this_boot(const struct clock_belief *belief, const struct clocks *clocks)
{
	return belief->is_known && memcmp(belief->boot, clocks->boot_id, sizeof(belief->boot)) == 0;
}

void clock_judge(const struct clock_belief *belief, const struct clocks *clocks,
		 struct clock_verdict *out)
{
	struct walltime wall = clocks->wall(clocks->arg), line;
	int64_t off_ms;

	*out = (struct clock_verdict){.now = wall, .steady = wall};
	if (!is_of_this_boot(belief, clocks))
		return;
	line.ms = belief->wall.ms + (clocks->boot(clocks->arg).ms - belief->at.ms);
	off_ms = wall.ms - line.ms;
	if (off_ms < -CLOCK_BACK_MS)
		out->back_ms = -off_ms;
	if (off_ms < 0)
		out->steady = line;
	if (off_ms <= CLOCK_AHEAD_MS)
		return;
	/* A machine without a clock of its own begins its boot in the past and is set right later.
	 */
	if (belief->wall.ms < belief->earliest.ms && wall.ms >= belief->earliest.ms)
		return;
	out->ahead_ms = off_ms;
	out->now = out->steady = line;
}

struct walltime wallet_now(const struct wallet *w)
{
	struct clock_verdict verdict;

	clock_judge(&w->clock, &w->clocks, &verdict);
	return verdict.now;
}

struct walltime clock_of_reader(struct db *db)
{
	struct clock_belief belief;
	struct clock_verdict verdict;

	/* A failure is seen by what is read next. */
	if (clock_belief_read(db, &belief) != DB_OK)
		belief.is_known = false;
	clock_judge(&belief, db_clocks(db), &verdict);
	return verdict.now;
}

static void write_belief(struct batch *b)
{
	static const char SQL[] =
		"INSERT INTO clock (id, boot, wall_ms, boot_ms, earliest_ms, ahead_ms, "
		"ahead_seen_ms, back_ms, back_seen_ms) VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8) "
		"ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, wall_ms = excluded.wall_ms, "
		"boot_ms = excluded.boot_ms, earliest_ms = excluded.earliest_ms, "
		"ahead_ms = excluded.ahead_ms, ahead_seen_ms = excluded.ahead_seen_ms, "
		"back_ms = excluded.back_ms, back_seen_ms = excluded.back_seen_ms";
	const struct clock_belief *c = &b->clock;
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_blob(s, c->boot, sizeof(c->boot));
	db_bind_walltime(s, c->wall);
	db_bind_i64(s, c->at.ms);
	db_bind_walltime(s, c->earliest);
	db_bind_i64(s, c->ahead_ms);
	db_bind_walltime(s, c->ahead_seen);
	db_bind_i64(s, c->back_ms);
	db_bind_walltime(s, c->back_seen);
	db_queue_write(s, 1);
}

/* From now on time goes on from what the wall clock says. */
static void anchor(struct batch *b, struct walltime earliest)
{
	const struct clocks *clocks = &b->w->clocks;

	memcpy(b->clock.boot, clocks->boot_id, sizeof(b->clock.boot));
	b->clock.is_known = true;
	b->clock.wall = clocks->wall(clocks->arg);
	b->clock.at = b->boot;
	b->clock.earliest = earliest;
}

/* Another boot: what it says is believed, and what the last one was told of is over. */
static void begin_boot(struct batch *b)
{
	struct walltime earliest = b->clock.wall;

	if (earliest.ms < b->clock.earliest.ms)
		earliest = b->clock.earliest;
	b->clock = (struct clock_belief){.is_known = false};
	anchor(b, earliest);
	b->now = b->steady = b->clock.wall;
	if (b->now.ms < earliest.ms - CLOCK_BACK_MS) {
		b->clock.back_ms = earliest.ms - b->now.ms;
		b->clock.back_seen = b->now;
		log_warn("event=clock_is_behind by_s=%lld remedy=\"set the clock of this machine\"",
			 (long long)(b->clock.back_ms / 1000));
	}
	write_belief(b);
}

static void tell_ahead(struct batch *b, const struct clock_verdict *v)
{
	if (!b->w->clock_told_ahead)
		log_warn("event=clock_not_believed ahead_s=%lld remedy=\"set the clock right, or "
			 "run farebox doctor --believe-clock\"",
			 (long long)(v->ahead_ms / 1000));
	b->w->clock_told_ahead = true;
	if (v->ahead_ms <= b->clock.ahead_ms + CLOCK_AHEAD_MS)
		return;
	b->clock.ahead_ms = v->ahead_ms;
	b->clock.ahead_seen = b->w->clocks.wall(b->w->clocks.arg);
	write_belief(b);
}

static void tell_back(struct batch *b, const struct clock_verdict *v)
{
	if (!b->w->clock_told_back)
		log_warn("event=clock_stepped_back by_s=%lld", (long long)(v->back_ms / 1000));
	b->w->clock_told_back = true;
	if (v->back_ms <= b->clock.back_ms + CLOCK_BACK_MS)
		return;
	b->clock.back_ms = v->back_ms;
	b->clock.back_seen = v->now;
	write_belief(b);
}

/* Slow clocks that are set right by a second now and then move the line with them. */
static bool line_is_old(const struct batch *b)
{
	const struct clock_belief *c = &b->clock;
	int64_t past_ms = b->boot.ms - c->at.ms;

	return b->now.ms < c->wall.ms + past_ms ? false
	       : c->wall.ms < c->earliest.ms
		       ? b->now.ms >= c->earliest.ms
		       : past_ms >= CLOCK_LINE_MS &&
				 b->now.ms - c->wall.ms - past_ms >= CLOCK_OFF_MS;
}

enum db_status clock_begin(struct batch *b)
{
	struct wallet *w = b->w;
	struct clock_verdict v;
	enum db_status status;

	b->clock = w->clock;
	b->boot = w->clocks.boot(w->clocks.arg);
	clock_judge(&b->clock, &w->clocks, &v);
	/* Nearly always all is well, and nothing is read or written here. */
	if (!is_of_this_boot(&b->clock, &w->clocks) || v.ahead_ms ||
	    (v.back_ms && !w->clock_told_back)) {
		status = clock_belief_read(b->db, &b->clock);
		if (status != DB_OK)
			return status;
		clock_judge(&b->clock, &w->clocks, &v);
	}
	if (!is_of_this_boot(&b->clock, &w->clocks)) {
		begin_boot(b);
		return DB_OK;
	}
	b->now = v.now;
	b->steady = v.steady;
	w->clock_told_ahead &= v.ahead_ms > 0;
	w->clock_told_back &= v.back_ms > 0;
	if (v.ahead_ms) {
		tell_ahead(b, &v);
	} else if (v.back_ms) {
		tell_back(b, &v);
	} else if (line_is_old(b)) {
		anchor(b, b->clock.earliest);
		write_belief(b);
	}
	return DB_OK;
}

/* Periods that a wrong clock had begun become those of now, with all that counts in them. */
static void periods_are_now(struct batch *b)
{
	static const char WALLETS[] = "UPDATE wallet SET month = $1 WHERE month > $2";
	static const char DAYS[] = "UPDATE key_limit SET day = $1 WHERE day > $2";
	static const char MONTHS[] = "UPDATE key_limit SET month = $1 WHERE month > $2";
	const struct {
		const char *sql;
		int64_t period;
	} STEPS[] = {{WALLETS, walltime_month(b->now)},
		     {DAYS, walltime_day(b->now)},
		     {MONTHS, walltime_month(b->now)}};

	for (size_t i = 0; i < ARRAY_LEN(STEPS); i++) {
		struct db_stmt *s = db_stmt(b->db, STEPS[i].sql);

		db_bind_i64(s, STEPS[i].period);
		db_bind_i64(s, STEPS[i].period);
		db_queue_write(s, -1);
	}
	for (size_t i = 0; i < b->rows_count; i++) {
		struct wallet_view *view = &b->rows[i].view;

		view->month = view->month > STEPS[0].period ? STEPS[0].period : view->month;
	}
	for (size_t i = 0; i < b->limits_count; i++) {
		struct limit_row *limit = &b->limits[i];

		limit->day = limit->day > STEPS[1].period ? STEPS[1].period : limit->day;
		limit->month = limit->month > STEPS[2].period ? STEPS[2].period : limit->month;
	}
}

void apply_believe_clock(struct batch *b, struct wallet_cmd *cmd)
{
	b->clock.ahead_ms = b->clock.back_ms = 0;
	b->clock.ahead_seen = b->clock.back_seen = (struct walltime){0};
	anchor(b, (struct walltime){0});
	b->now = b->steady = cmd->now = b->clock.wall;
	write_belief(b);
	periods_are_now(b);
	log_warn("event=clock_believed");
	cmd->outcome = WALLET_OK;
}
