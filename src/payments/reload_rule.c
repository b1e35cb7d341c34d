#include "payments/reload_rule.h"

#include "base/limits.h"
#include "payments/payments.h"

#include <stdlib.h>
#include <string.h>

#define IS_OFF     "; auto-reload is switched off"
#define NOT_BEFORE "; the next try is not before"

/* What one reload may charge at most. */
static struct microusd room_for(const struct reload_facts *f)
{
	struct microusd room, rest;

	CHECK(microusd_from_tokens(&room,
				   RELOAD_USD_MAX * (MICROUSD_PER_USD / MICROUSD_PER_TOKEN)));
	if (!f->prefs.has_budget)
		return room;
	if (!microusd_sub(&rest, f->prefs.budget_limit, f->reloaded))
		return MICROUSD_ZERO;
	return microusd_max(MICROUSD_ZERO, microusd_min(room, rest));
}

/* A pause that seems to last longer than pauses do is of a clock that was set back. */
static bool is_cooling(const struct reload_facts *f, struct walltime now)
{
	int64_t most_ms = (int64_t)RELOAD_DECLINED_MS << (RELOAD_DECLINES_MAX - 2);

	return now.ms < f->not_before.ms && f->not_before.ms - now.ms <= most_ms;
}

enum reload_verdict reload_decide(const struct reload_facts *f, struct walltime now,
				  struct cents *out_amount)
{
	struct microusd step = f->prefs.auto_reload_amount, gap, total;
	int64_t steps, steps_max, steps_allowed;
	struct cents amount;

	if (!f->prefs.auto_reload_enabled || microusd_sign(step) <= 0 ||
	    microusd_cmp(f->available, f->prefs.auto_reload_threshold) >= 0)
		return RELOAD_NOT_WANTED;
	if (f->in_flight)
		return RELOAD_IN_FLIGHT;
	if (is_cooling(f, now))
		return RELOAD_COOLING;
	steps_max = microusd_steps_floor(room_for(f), step);
	steps_allowed = steps_max;
	if (f->has_ceilings)
		steps_allowed = microusd_steps_floor(purchase_most(&f->purchases), step);
	if (steps_max > 0 && steps_allowed == 0)
		return RELOAD_BOUND;
	if (steps_max > steps_allowed)
		steps_max = steps_allowed;
	steps = steps_max;
	/* A debt beyond all numbers takes what there is room for. */
	if (microusd_sub(&gap, f->prefs.auto_reload_threshold, f->available))
		steps = microusd_steps_ceil(gap, step);
	if (steps > steps_max)
		steps = steps_max;
	if (steps == 0 || !microusd_mul(&total, step, steps) ||
	    !cents_from_microusd_exact(&amount, total))
		return RELOAD_NO_ROOM;
	*out_amount = amount;
	return RELOAD_DUE;
}

struct reload_decline reload_declined(int64_t declines_before, bool is_final, struct walltime now)
{
	int64_t declines = declines_before + 1;

	/* Who switches it on again gets all tries again. */
	if (is_final || declines >= RELOAD_DECLINES_MAX)
		return (struct reload_decline){
			.switches_off = true,
			.not_before = {.ms = now.ms + RELOAD_SPACING_MS},
		};
	return (struct reload_decline){
		.declines = declines,
		.not_before = {.ms = now.ms + ((int64_t)RELOAD_DECLINED_MS << (declines - 1))},
	};
}

char *reload_trouble_text(const char *reason, const struct reload_decline *decline)
{
	char when[WALLTIME_TEXT_SIZE];
	int len = (int)strlen(reason);

	/* Stripe ends its sentence; ours goes on. */
	len -= len > 0 && reason[len - 1] == '.';
	if (decline->switches_off)
		return xasprintf("%.*s%s", len, reason, IS_OFF);
	walltime_text(decline->not_before, when);
	return xasprintf("%.*s%s %s", len, reason, NOT_BEFORE, when);
}

enum ceiling_kind reload_ceiling(const struct reload_facts *f)
{
	return purchase_refused(&f->purchases, f->prefs.auto_reload_amount);
}

char *reload_bound_text(const struct reload_facts *f)
{
	enum ceiling_kind kind = reload_ceiling(f);
	struct walltime resets = ceiling_resets(&f->purchases, kind);
	const struct reload_decline pause = {.not_before = resets};
	CLEANUP(free_charp)
	char *why = ceiling_text(&f->purchases, kind, f->prefs.auto_reload_amount);

	return resets.ms ? reload_trouble_text(why, &pause) : xstrdup(why);
}

char *reload_trouble_now(const char *trouble, bool is_enabled)
{
	const char *end;

	if (!trouble)
		return NULL;
	end = strstr(trouble, is_enabled ? IS_OFF : NOT_BEFORE);
	if (!end)
		return xstrdup(trouble);
	return xasprintf("%.*s%s", (int)(end - trouble), trouble, is_enabled ? "" : IS_OFF);
}
