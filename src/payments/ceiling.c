#include "payments/ceiling.h"

#include "base/limits.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct org_ceiling {
	char *org;
	struct ceiling ceiling;
};

struct ceilings {
	struct ceiling of_all;
	struct org_ceiling *orgs;
	size_t count;
};

static struct microusd usd(int64_t n)
{
	struct microusd a;

	CHECK(microusd_from_tokens(&a, n * (MICROUSD_PER_USD / MICROUSD_PER_TOKEN)));
	return a;
}

static void read_member(const json_t *purchases, const char *name, struct microusd *out)
{
	const json_t *value = json_object_get(purchases, name);
	struct decimal d;

	/* The shape says so. */
	if (value)
		CHECK(edge_decimal(value, false, &d) && microusd_from_usd_exact(out, d));
}

static struct ceiling read_ceiling(const json_t *purchases, struct ceiling otherwise)
{
	read_member(purchases, "per_call_usd", &otherwise.per_call);
	read_member(purchases, "per_day_usd", &otherwise.per_day);
	read_member(purchases, "per_month_usd", &otherwise.per_month);
	return otherwise;
}

struct ceilings *ceilings_create(const json_t *root)
{
	json_t *orgs = json_object_get(root, "orgs"), *config;
	struct ceilings *c = xzalloc(sizeof(*c));
	const char *org;

	c->of_all = read_ceiling(json_object_get(root, "purchases"),
				 (struct ceiling){
					 .per_call = usd(PURCHASE_PER_CALL_USD),
					 .per_day = usd(PURCHASE_PER_DAY_USD),
					 .per_month = usd(PURCHASE_PER_MONTH_USD),
				 });
	if (json_object_size(orgs))
		c->orgs = xarray(json_object_size(orgs), sizeof(*c->orgs));
	json_object_foreach (orgs, org, config) {
		c->orgs[c->count++] = (struct org_ceiling){
			.org = xstrdup(org),
			.ceiling = read_ceiling(json_object_get(config, "purchases"), c->of_all),
		};
	}
	return c;
}

void ceilings_destroy(struct ceilings *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		free(c->orgs[i].org);
	free(c->orgs);
	free(c);
}

const struct ceiling *ceilings_of(const struct ceilings *c, const char *org)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcasecmp(c->orgs[i].org, org) == 0)
			return &c->orgs[i].ceiling;
	}
	return &c->of_all;
}

static struct microusd left_of(struct microusd limit, struct microusd spent)
{
	struct microusd left;

	if (!microusd_sub(&left, limit, spent))
		return MICROUSD_ZERO;
	return microusd_max(left, MICROUSD_ZERO);
}

enum ceiling_kind purchase_refused(const struct purchase_room *room, struct microusd amount)
{
	const struct ceiling *c = &room->ceiling;

	if (microusd_cmp(amount, c->per_call) > 0)
		return CEILING_PER_CALL;
	if (microusd_cmp(amount, left_of(c->per_month, room->spent_month)) > 0)
		return CEILING_PER_MONTH;
	if (microusd_cmp(amount, left_of(c->per_day, room->spent_day)) > 0)
		return CEILING_PER_DAY;
	return CEILING_NONE;
}

struct microusd purchase_most(const struct purchase_room *room)
{
	const struct ceiling *c = &room->ceiling;
	struct microusd most = left_of(c->per_month, room->spent_month);

	most = microusd_min(most, left_of(c->per_day, room->spent_day));
	return microusd_min(most, c->per_call);
}

const char *ceiling_name(enum ceiling_kind kind)
{
	switch (kind) {
	case CEILING_PER_CALL:
		return "per_call";
	case CEILING_PER_DAY:
		return "per_day";
	case CEILING_PER_MONTH:
		return "per_month";
	case CEILING_NONE:
		break;
	}
	die("ceiling %d has no name", (int)kind);
}

struct microusd ceiling_limit(const struct purchase_room *room, enum ceiling_kind kind)
{
	if (kind == CEILING_PER_CALL)
		return room->ceiling.per_call;
	return kind == CEILING_PER_DAY ? room->ceiling.per_day : room->ceiling.per_month;
}

struct microusd ceiling_spent(const struct purchase_room *room, enum ceiling_kind kind)
{
	if (kind == CEILING_PER_CALL)
		return MICROUSD_ZERO;
	return kind == CEILING_PER_DAY ? room->spent_day : room->spent_month;
}

struct walltime ceiling_resets(const struct purchase_room *room, enum ceiling_kind kind)
{
	if (kind == CEILING_PER_CALL)
		return (struct walltime){0};
	return kind == CEILING_PER_DAY ? walltime_of_day(walltime_day(room->now) + 1)
				       : walltime_next_month(room->now);
}

char *ceiling_text(const struct purchase_room *room, enum ceiling_kind kind, struct microusd amount)
{
	char limit[MONEY_TEXT_SIZE], spent[MONEY_TEXT_SIZE], wanted[MONEY_TEXT_SIZE];

	usd_text_people(ceiling_limit(room, kind), limit);
	usd_text_people(ceiling_spent(room, kind), spent);
	usd_text_people(amount, wanted);
	if (kind == CEILING_PER_CALL)
		return xasprintf("the operator allows purchases of at most $%s each, and this is "
				 "one of $%s",
				 limit, wanted);
	return xasprintf("the operator allows purchases of $%s a %s; $%s are bought or about to "
			 "be, and $%s more do not fit",
			 limit, kind == CEILING_PER_DAY ? "day" : "month", spent, wanted);
}
