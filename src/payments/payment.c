#include "payments/payment.h"

#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>

/* The numbers stand in stores. */
static_assert(PAYMENT_BUY == 1 && PAYMENT_TOP_UP == 2 && PAYMENT_RELOAD == 3 &&
		      PAYMENT_CHECKOUT == 4,
	      "stored");
static_assert(PAYMENT_CREATED == 1 && PAYMENT_SUBMITTED == 2 && PAYMENT_REQUIRES_ACTION == 3 &&
		      PAYMENT_OPEN == 4 && PAYMENT_SUCCEEDED == 5 && PAYMENT_FAILED == 6 &&
		      PAYMENT_CANCELLED == 7 && PAYMENT_REFUNDED == 8 && PAYMENT_DISPUTED == 9,
	      "stored");

#define BIT(state) (1U << (state))
#define ANSWERS                                                                                    \
	(BIT(PAYMENT_REQUIRES_ACTION) | BIT(PAYMENT_OPEN) | BIT(PAYMENT_SUCCEEDED) |               \
	 BIT(PAYMENT_FAILED) | BIT(PAYMENT_CANCELLED))

struct state_entry {
	const char *name;
	unsigned int next; /* allowed, as bits */
};

static const struct state_entry STATES[] = {
	[PAYMENT_CREATED] = {"created", BIT(PAYMENT_SUBMITTED) | ANSWERS},
	[PAYMENT_SUBMITTED] = {"submitted", ANSWERS},
	[PAYMENT_REQUIRES_ACTION] = {"requires_action", BIT(PAYMENT_SUCCEEDED) |
								BIT(PAYMENT_FAILED) |
								BIT(PAYMENT_CANCELLED)},
	[PAYMENT_OPEN] = {"open", BIT(PAYMENT_SUCCEEDED) | BIT(PAYMENT_CANCELLED)},
	[PAYMENT_SUCCEEDED] = {"succeeded", BIT(PAYMENT_REFUNDED) | BIT(PAYMENT_DISPUTED)},
	/* A payer who was faster than the cancel: the money is here, so it counts. */
	[PAYMENT_FAILED] = {"failed", BIT(PAYMENT_SUCCEEDED)},
	[PAYMENT_CANCELLED] = {"cancelled", BIT(PAYMENT_SUCCEEDED)},
	[PAYMENT_REFUNDED] = {"refunded", BIT(PAYMENT_SUCCEEDED) | BIT(PAYMENT_DISPUTED)},
	[PAYMENT_DISPUTED] = {"disputed", BIT(PAYMENT_SUCCEEDED) | BIT(PAYMENT_REFUNDED)},
};

static bool is_state(enum payment_state state)
{
	return state >= PAYMENT_CREATED && (size_t)state < ARRAY_LEN(STATES);
}

bool payment_may_become(enum payment_state from, enum payment_state to)
{
	CHECK(is_state(from) && is_state(to));
	return STATES[from].next & BIT(to);
}

const char *payment_state_name(enum payment_state state)
{
	return is_state(state) ? STATES[state].name : "unknown";
}

const char *payment_kind_name(enum payment_kind kind)
{
	switch (kind) {
	case PAYMENT_BUY:
		return "buy";
	case PAYMENT_TOP_UP:
		return "top_up";
	case PAYMENT_RELOAD:
		return "reload";
	case PAYMENT_CHECKOUT:
		return "checkout";
	}
	return "unknown";
}

bool payment_is_unfinished(enum payment_state state)
{
	return payment_is_in_flight(state) || payment_is_payable(state);
}

bool payment_is_payable(enum payment_state state)
{
	return state == PAYMENT_OPEN || state == PAYMENT_REQUIRES_ACTION;
}

bool payment_is_in_flight(enum payment_state state)
{
	return state == PAYMENT_CREATED || state == PAYMENT_SUBMITTED;
}

bool payment_has_grant(enum payment_state state)
{
	return state == PAYMENT_SUCCEEDED || state == PAYMENT_REFUNDED || state == PAYMENT_DISPUTED;
}

bool payment_is_expired(const struct payment_view *p, struct walltime now)
{
	return payment_is_payable(p->state) && now.ms >= p->expires.ms;
}

void payment_view_copy(struct payment_view *out, const struct payment_view *p)
{
	*out = *p;
	out->ref = p->ref ? xstrdup(p->ref) : NULL;
	out->charge_ref = p->charge_ref ? xstrdup(p->charge_ref) : NULL;
	out->url = p->url ? xstrdup(p->url) : NULL;
	out->reason = p->reason ? xstrdup(p->reason) : NULL;
}

void payment_view_finish(struct payment_view *p)
{
	free(p->ref);
	free(p->charge_ref);
	free(p->url);
	free(p->reason);
	p->ref = NULL;
	p->charge_ref = NULL;
	p->url = NULL;
	p->reason = NULL;
}

void payment_id_text(struct id id, char out[ID_TEXT_SIZE])
{
	id_text("pay", id, out);
}

char *payment_fact(struct id id)
{
	char text[ID_TEXT_SIZE];

	payment_id_text(id, text);
	return xasprintf("payment:%s", text);
}

struct microusd payment_credit(const struct payment_view *p)
{
	struct microusd credit;

	CHECK(microusd_from_cents(&credit, p->credit));
	return credit;
}
